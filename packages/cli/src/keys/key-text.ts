/** A key as it is written into a configuration. */
export interface NewKey {
  /** `sha256:` and its hash: the key itself is written nowhere. */
  readonly key: string;
  readonly account_id: string;
  readonly key_id: string;
  readonly admin?: boolean;
  readonly allowed_models?: readonly string[];
  readonly hard_cap?: number;
  readonly windowSeconds?: number;
  readonly requests_per_minute?: number;
}

/** JSON's strings, numbers and lists of strings are TOML's too. */
const line = (name: string, value: unknown): string[] =>
  value === undefined ? [] : [`${name} = ${JSON.stringify(value)}`];

/** The text of a configuration with one more key at its end. */
export function withKey(text: string, key: NewKey): string {
  const { windowSeconds: seconds, ...values } = key;
  const block = [
    '[[entitlements.keys]]',
    ...Object.entries(values).flatMap(([name, value]) => line(name, value)),
    ...(seconds === undefined ? [] : [`window = { kind = "rolling", seconds = ${seconds} }`]),
  ];
  const before = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  return `${before}${before === '' ? '' : '\n'}${block.join('\n')}\n`;
}

const keyHeader = /^\s*\[\[\s*entitlements\s*\.\s*keys\s*\]\]/;
/** A table of the same key, such as its window. */
const partHeader = /^\s*\[\s*entitlements\s*\.\s*keys\s*\./;
const anyHeader = /^\s*\[/;
const isAside = (text: string | undefined): boolean => /^\s*(?:#|$)/.test(text ?? '');

/** The text of a configuration without its key of this number, every other byte as it was; undefined where it has none of its own. */
export function withoutKey(text: string, index: number): string | undefined {
  const lines = text.split('\n');
  const starts = lines.flatMap((each, at) => (keyHeader.test(each) ? [at] : []));
  const start = starts[index];
  if (start === undefined) return undefined;
  let end = start + 1;
  while (end < lines.length && !(anyHeader.test(lines[end] as string) && !partHeader.test(lines[end] as string))) end++;
  // What is said above the next table belongs to that one.
  while (end < lines.length && end > start + 1 && isAside(lines[end - 1])) end--;
  return [...lines.slice(0, start), ...lines.slice(end)].join('\n');
}
