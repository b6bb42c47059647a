/** The first lines that differ, as `-` and `+`; null when the texts are equal. */
export function firstDifference(before: string, after: string): string | null {
  if (before === after) return null;
  const [a, b] = [before.split('\n'), after.split('\n')];
  const at = a.findIndex((line, index) => line !== b[index]);
  const line = at < 0 ? a.length : at;
  const changed = a.reduce(
    (count, text, index) => count + (text === b[index] ? 0 : 1),
    Math.max(0, b.length - a.length),
  );
  return [`line ${line + 1}, ${changed} lines differ`, `- ${a[line] ?? '(end)'}`, `+ ${b[line] ?? '(end)'}`].join('\n');
}
