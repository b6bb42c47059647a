import { jsonCharacter } from './json-character.js';
import type { TokenTrie } from './token-trie.js';

/** Stands for "no": in counts of at most 254. */
export const notCharacters = 255;

const quote = 0x22;
const nodesPerSlice = 65_536;

/**
 * What every token is inside a JSON string, between two characters: made once per vocabulary, so that the masks of strings,
 * which allow nearly everything, need no walk.
 */
export interface CharacterTable {
  /** By token: characters that it begins, all of it inside the string; `notCharacters` when it leaves it. */
  readonly begun: Uint8Array;
  /** By node: whole characters that lead to it; `notCharacters` in the middle of one. */
  readonly whole: Uint8Array;
  /** Nodes whose last byte closes the string, in order, and the characters before. */
  readonly quoteNodes: Int32Array;
  readonly quoteCounts: Uint8Array;
  /** The mask of tokens that begin at most so many characters, all of it inside the string: shared, not to be written to. */
  atMost(characters: number): Int32Array;
}

/** Builds the table; yields now and then so that the caller may let others run. */
export function* buildCharacterTable(trie: TokenTrie): Generator<void, CharacterTable, void> {
  const next = transitions();
  const begun = new Uint8Array(trie.vocabulary.size).fill(notCharacters);
  const whole = new Uint8Array(trie.nodes).fill(notCharacters);
  const quoteNodes: number[] = [];
  const quoteCounts: number[] = [];
  const states = new Uint8Array(trie.longest + 1);
  const counts = new Uint16Array(trie.longest + 1);
  whole[0] = 0;
  for (let node = 1; node < trie.nodes; ) {
    const depth = trie.depth[node]!;
    const byte = trie.byte[node]!;
    const before = states[depth - 1]!;
    const isBetween = before <= 1;
    const count = counts[depth - 1]! + (isBetween ? 1 : 0);
    const state = next[(isBetween ? 0 : before) * 256 + byte]!;
    if (state < 0 || count >= notCharacters) {
      if (isBetween && byte === quote) {
        quoteNodes.push(node);
        quoteCounts.push(counts[depth - 1]!);
      }
      node = trie.end[node]!;
      continue;
    }
    states[depth] = state;
    counts[depth] = count;
    if (state === 1) whole[node] = count;
    for (let at = trie.firstToken[node]!; at < trie.firstToken[node + 1]!; at++) begun[trie.tokens[at]!] = count;
    node++;
    if (node % nodesPerSlice === 0) yield;
  }
  return {
    begun,
    whole,
    quoteNodes: Int32Array.from(quoteNodes),
    quoteCounts: Uint8Array.from(quoteCounts),
    atMost: masksOf(begun),
  };
}

/** Masks kept of strings that are nearly full. */
const maxMasks = 64;

function masksOf(begun: Uint8Array): CharacterTable['atMost'] {
  const most = begun.reduce((high, count) => (count === notCharacters ? high : Math.max(high, count)), 0);
  const masks = new Map<number, Int32Array>();
  return (characters) => {
    const limit = Math.min(characters, most);
    const known = masks.get(limit);
    if (known) return known;
    const words = new Int32Array(Math.ceil(begun.length / 32));
    for (let token = 0; token < begun.length; token++) {
      if (begun[token]! <= limit) words[token >>> 5]! |= 1 << (token & 31);
    }
    if (masks.size >= maxMasks) masks.delete(masks.keys().next().value!);
    masks.set(limit, words);
    return words;
  };
}

function transitions(): Int8Array {
  const { states } = jsonCharacter;
  const next = new Int8Array(states.length * 256).fill(-1);
  for (const [index, { edges }] of states.entries()) {
    for (const { low, high, target } of edges) next.fill(target, index * 256 + low, index * 256 + high + 1);
  }
  return next;
}
