/**
 * Lines of keys in a TOML text, for messages only: the parser itself does not keep them. Tables, arrays of tables and
 * dotted keys are followed; a key inside an inline table has the line of the key that holds it.
 */
const header = /^\s*(?<open>\[\[?)\s*(?<path>[^\]]+?)\s*\]\]?\s*(?:#.*)?$/;
const assignment = /^\s*(?<path>(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=/;
const part = /"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)/g;

const partsOf = (path: string): string[] =>
  [...path.matchAll(part)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');

const join = (path: readonly PropertyKey[]): string => path.map(String).join('\0');

/** Finds the line of a path; of its nearest ancestor when the path itself has none. */
export const lineFinder = (text: string): ((path: readonly PropertyKey[]) => number | undefined) => {
  const lines = new Map<string, number>();
  const items = new Map<string, number>();
  const note = (path: readonly PropertyKey[], line: number): void => {
    const key = join(path);
    if (!lines.has(key)) lines.set(key, line);
  };
  /** Steps into the newest item of every array of tables on the way. */
  const indexed = (names: readonly string[]): PropertyKey[] => {
    const path: PropertyKey[] = [];
    for (const name of names) {
      path.push(name);
      const count = items.get(join(path));
      if (count !== undefined) path.push(count - 1);
    }
    return path;
  };
  let table: PropertyKey[] = [];
  text.split('\n').forEach((content, index) => {
    const line = index + 1;
    const opened = header.exec(content)?.groups;
    if (opened) {
      const names = partsOf(opened['path'] ?? '');
      if (opened['open'] === '[[') {
        const array = [...indexed(names.slice(0, -1)), names.at(-1) ?? ''];
        note(array, line);
        items.set(join(array), (items.get(join(array)) ?? 0) + 1);
      }
      table = indexed(names);
      note(table, line);
      return;
    }
    const assigned = assignment.exec(content)?.groups;
    if (assigned) {
      const names = partsOf(assigned['path'] ?? '');
      for (let length = 1; length <= names.length; length++) note([...table, ...names.slice(0, length)], line);
    }
  });
  return (path) => {
    for (let length = path.length; length > 0; length--) {
      const line = lines.get(join(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return undefined;
  };
};
