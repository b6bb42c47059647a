/** A token that is cut out of the text before anything else, whole. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Takes the white space before, or after, along. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Does not match inside a word. */
  readonly singleWord: boolean;
  /** Is looked for in the normalised text. */
  readonly normalized: boolean;
}

/** A stretch of text, or an added token that was found between two. */
export type Fragment = string | number;

interface TrieNode {
  readonly next: Map<number, TrieNode>;
  token: AddedToken | null;
}

const whitespace = /\p{White_Space}/u;
const wordCharacter = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

/** Finds added tokens in a text: leftmost first, and the longest of those that start together. */
export class AddedTokenMatcher {
  readonly #root: TrieNode = { next: new Map(), token: null };

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) {
      if (token.content === '') continue;
      let node = this.#root;
      for (let i = 0; i < token.content.length; i++) {
        const code = token.content.charCodeAt(i);
        let child = node.next.get(code);
        if (child === undefined) {
          child = { next: new Map(), token: null };
          node.next.set(code, child);
        }
        node = child;
      }
      node.token ??= token;
    }
  }

  /** Cuts a text at its added tokens. */
  split(text: string): Fragment[] {
    if (this.#root.next.size === 0) return text === '' ? [] : [text];
    const fragments: Fragment[] = [];
    let done = 0;
    let at = 0;
    while (at < text.length) {
      const token = this.#longestAt(text, at);
      if (token === null) {
        at++;
        continue;
      }
      let start = at;
      let end = at + token.content.length;
      at = end;
      if (token.singleWord && (wordCharacter.test(before(text, start)) || wordCharacter.test(after(text, end))))
        continue;
      if (token.lstrip) while (start > done && whitespace.test(text[start - 1]!)) start--;
      if (token.rstrip) while (end < text.length && whitespace.test(text[end]!)) end++;
      start = Math.max(start, done);
      if (start > done) fragments.push(text.slice(done, start));
      fragments.push(token.id);
      done = end;
      at = Math.max(at, end);
    }
    if (done < text.length) fragments.push(text.slice(done));
    return fragments;
  }

  #longestAt(text: string, start: number): AddedToken | null {
    let found: AddedToken | null = null;
    let node = this.#root.next.get(text.charCodeAt(start));
    for (let at = start + 1; node !== undefined; at++) {
      if (node.token !== null) found = node.token;
      node = at < text.length ? node.next.get(text.charCodeAt(at)) : undefined;
    }
    return found;
  }
}

function before(text: string, index: number): string {
  const low = text.charCodeAt(index - 1);
  return low >= 0xdc00 && low <= 0xdfff ? text.slice(index - 2, index) : text.slice(index - 1, index);
}

function after(text: string, index: number): string {
  const point = text.codePointAt(index);
  return point === undefined ? '' : String.fromCodePoint(point);
}
