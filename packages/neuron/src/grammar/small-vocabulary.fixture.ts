import { buildCharacterTable, type CharacterTable } from './character-table.js';
import type { GrammarVocabulary, TokenTrie } from './token-trie.js';
import { buildTokenTrie } from './token-trie.js';

const utf8 = new TextEncoder();

/** Every byte, and tokens that cross the borders of JSON's own tokens and of characters. */
const pieces = [
  ...[
    '{"',
    '":',
    '": ',
    '", "',
    '",',
    '"}',
    '"]',
    '}}',
    '},{',
    ' "',
    '[]',
    '{}',
    '[{"',
    '"]}',
    '""',
    '\\"',
    '\\\\',
    '\\n',
    '\\u00',
    '\\u',
  ],
  ...[
    '  ',
    '    ',
    '\n',
    '\n  ',
    '\n    ',
    '{\n',
    '}\n',
    ', ',
    ': ',
    ',"',
    '","',
    ' {',
    ' [',
    'true',
    'false',
    'null',
    ' true',
    'ul',
    'e,',
  ],
  ...[
    '0',
    '12',
    '-1',
    '.5',
    '00',
    '2024',
    '-0',
    'e+',
    '1e',
    '10',
    'id',
    'name',
    'na',
    'value',
    'kind',
    'foo',
    'bar-',
    'end',
    'one"',
    'green',
  ],
  ...[
    '\u00e9',
    '\u00e9"',
    '\u65e5\u672c',
    '\u{1f600}',
    'ab',
    'abc',
    'a',
    'x',
    '@b.',
    '::',
    'https://',
    'T00:',
    'Z"',
    '</think>',
    '<think>',
  ],
].map((piece) => utf8.encode(piece));
const halves = [
  [0xe6],
  [0xe6, 0x97],
  [0x97, 0xa5, 0x22],
  [0x61, 0xc3],
  [0xa9, 0x62],
  [0xf0, 0x9f],
  [0x98, 0x80, 0x22, 0x7d],
].map((bytes) => Uint8Array.from(bytes));

/** Tokens that are no text: the end, and a pair of marks. */
export const endToken = 256 + pieces.length + halves.length;
export const openToken = endToken + 1;
export const closeToken = endToken + 2;

const tokens: readonly Uint8Array[] = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...pieces,
  ...halves,
  utf8.encode('<|end|>'),
  utf8.encode('<mark>'),
  utf8.encode('</mark>'),
];

export const smallVocabulary: GrammarVocabulary = {
  size: tokens.length,
  marks: new Set([endToken, openToken, closeToken]),
  stopTokens: new Set([endToken]),
  bytesOf: (token) => tokens[token] ?? new Uint8Array(0),
};

/** Runs a computation without turns in between. */
export function runWhole<Result>(steps: Generator<void, Result, void>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** The tables of the small vocabulary. */
export function smallTables(): { readonly trie: TokenTrie; readonly characters: CharacterTable } {
  const trie = runWhole(buildTokenTrie(smallVocabulary));
  return { trie, characters: runWhole(buildCharacterTable(trie)) };
}

export const textOf = (output: readonly number[]): string =>
  Buffer.concat(output.map((token) => smallVocabulary.bytesOf(token))).toString();
