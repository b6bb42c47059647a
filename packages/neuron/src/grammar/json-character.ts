import type { ByteAutomaton, ByteEdge } from './grammar-node.js';

const edge = (low: number, high: number, target: number): ByteEdge => ({ low, high, target });
const code = (char: string): number => char.charCodeAt(0);

/** Names of the states of `jsonCharacter`, in order. */
const at = {
  start: 0,
  end: 1,
  escape: 2,
  hex1: 3,
  hex2: 4,
  hex3: 5,
  hex4: 6,
  surrogateOrHigh: 7,
  lowEscape: 8,
  lowU: 9,
  lowD: 10,
  lowSecond: 11,
  lowHex3: 12,
  lowHex4: 13,
  one: 14,
  two: 15,
  three: 16,
  afterE0: 17,
  afterEd: 18,
  afterF0: 19,
  afterF4: 20,
  highHex3: 21,
  highHex4: 22,
} as const;

const hex = (target: number): ByteEdge[] => [
  edge(code('0'), code('9'), target),
  edge(code('A'), code('F'), target),
  edge(code('a'), code('f'), target),
];

const both = (letters: string, target: number): ByteEdge[] =>
  [...letters].flatMap((letter) => [letter, letter.toUpperCase()].map((each) => edge(code(each), code(each), target)));

const continuation = (target: number): ByteEdge[] => [edge(0x80, 0xbf, target)];

/**
 * One character inside a JSON string: raw, or escaped in any way. Half of a surrogate pair is not admitted, nor a byte
 * sequence that is not UTF-8. State 0 is the start and state 1 the end; it is deterministic.
 */
export const jsonCharacter: ByteAutomaton = {
  states: [
    [
      edge(0x20, 0x21, at.end),
      edge(0x23, 0x5b, at.end),
      edge(0x5c, 0x5c, at.escape),
      edge(0x5d, 0x7f, at.end),
      edge(0xc2, 0xdf, at.one),
      edge(0xe0, 0xe0, at.afterE0),
      edge(0xe1, 0xec, at.two),
      edge(0xed, 0xed, at.afterEd),
      edge(0xee, 0xef, at.two),
      edge(0xf0, 0xf0, at.afterF0),
      edge(0xf1, 0xf3, at.three),
      edge(0xf4, 0xf4, at.afterF4),
    ],
    [],
    [...[...'"\\/bfnrt'].map((each) => edge(code(each), code(each), at.end)), edge(code('u'), code('u'), at.hex1)],
    [edge(code('0'), code('9'), at.hex2), ...both('abcef', at.hex2), ...both('d', at.surrogateOrHigh)],
    hex(at.hex3),
    hex(at.hex4),
    hex(at.end),
    // After `\ud`: 0 to 7 is a plain character, 8 to b the first half of a pair.
    [edge(code('0'), code('7'), at.hex3), edge(code('8'), code('9'), at.highHex3), ...both('ab', at.highHex3)],
    [edge(0x5c, 0x5c, at.lowU)],
    [edge(code('u'), code('u'), at.lowD)],
    both('d', at.lowSecond),
    both('cdef', at.lowHex3),
    hex(at.lowHex4),
    hex(at.end),
    continuation(at.end),
    continuation(at.one),
    continuation(at.two),
    [edge(0xa0, 0xbf, at.one)],
    [edge(0x80, 0x9f, at.one)],
    [edge(0x90, 0xbf, at.two)],
    [edge(0x80, 0x8f, at.two)],
    hex(at.highHex4),
    hex(at.lowEscape),
  ].map((edges, index) => ({ isFinal: index === at.end, edges })),
};
