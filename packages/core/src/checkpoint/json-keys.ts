/** What a plain JSON parse hides: a key given twice, and nesting made to exhaust a reader. */
export type JsonKeyProblem =
  | { readonly kind: 'duplicate'; readonly key: string }
  | { readonly kind: 'deep'; readonly depth: number };

const quote = 0x22;
const backslash = 0x5c;

/** Index after the closing quote of the string that opens at `at`; the text's length when it never closes. */
const afterString = (text: string, at: number): number => {
  for (let index = at + 1; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === backslash) index++;
    else if (code === quote) return index + 1;
  }
  return text.length;
};

const keyOf = (raw: string): string => {
  if (!raw.includes('\\')) return raw.slice(1, -1);
  try {
    return JSON.parse(raw) as string;
  } catch {
    // Not a JSON string: the caller's JSON.parse will say so with a position.
    return raw;
  }
};

/**
 * First repeated key or too deep nesting in a JSON text. One pass, no recursion; a text that is not JSON may get any
 * answer, so parse it as well.
 */
export const findJsonKeyProblem = (text: string, deepest: number): JsonKeyProblem | undefined => {
  const open: (Set<string> | null)[] = [];
  let index = 0;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    if (code === quote) {
      const end = afterString(text, index);
      const keys = open[open.length - 1];
      if (keys) {
        let next = end;
        while (next < text.length && text.charCodeAt(next) <= 0x20) next++;
        if (text[next] === ':') {
          const key = keyOf(text.slice(index, end));
          if (keys.has(key)) return { kind: 'duplicate', key };
          keys.add(key);
        }
      }
      index = end;
      continue;
    }
    const character = text[index];
    if (character === '{' || character === '[') {
      if (open.length >= deepest) return { kind: 'deep', depth: open.length + 1 };
      open.push(character === '{' ? new Set() : null);
    } else if (character === '}' || character === ']') open.pop();
    index++;
  }
  return undefined;
};
