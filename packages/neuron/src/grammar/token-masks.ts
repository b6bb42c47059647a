import { type CharacterTable, notCharacters } from './character-table.js';
import type { Config, Item, Machine } from './machine.js';
import type { TokenTrie } from './token-trie.js';

/** Masks kept for configs, and for single states: the oldest goes first. */
const maxMasks = 64;
const maxLocals = 256;
/** Fewer allowed tokens than this are kept as a list, more as bits. */
const maxListed = 2048;

/** What one state allows, whatever called its rule: tokens, and nodes behind which the caller decides. */
interface Local {
  readonly tokens: Int32Array | null;
  readonly words: Int32Array | null;
  readonly exits: readonly number[];
}

/**
 * Which tokens may follow. The mask of a config is the union of those of its states; what a state allows by itself is
 * found once by a walk of the vocabulary and kept, and only the few tokens that reach beyond the end of its rule are
 * walked again within what called it. Inside strings a table of the vocabulary stands in for the walk.
 */
export class TokenMasks {
  readonly #machine: Machine;
  readonly #trie: TokenTrie;
  readonly #characters: CharacterTable;
  readonly #words: number;
  readonly #masks = new Map<number, Int32Array>();
  readonly #locals = new Map<number, Local>();

  constructor(machine: Machine, trie: TokenTrie, characters: CharacterTable) {
    this.#machine = machine;
    this.#trie = trie;
    this.#characters = characters;
    this.#words = Math.ceil(trie.vocabulary.size / 32);
  }

  /** The mask of a config: shared, not to be written to. */
  of(config: Config): Int32Array {
    const known = this.#masks.get(config.id);
    if (known) return known;
    const words = new Int32Array(this.#words);
    this.#write(config, words);
    remember(this.#masks, config.id, words, maxMasks);
    return words;
  }

  /** Finds what a state allows ahead of its use. */
  warm(state: number): void {
    if (state !== this.#machine.automaton.characterStart) this.#local(state);
  }

  #write(config: Config, words: Int32Array): void {
    const { size, stopTokens } = this.#trie.vocabulary;
    const { states } = this.#machine.automaton;
    for (const { state } of config.items) {
      const { freeExcept } = states[state]!;
      if (!freeExcept) continue;
      for (let token = 0; token < size; token += 32) words[token >>> 5] = -1;
      if (size % 32 !== 0) words[this.#words - 1] = (1 << (size % 32)) - 1;
      for (const token of [...freeExcept, ...stopTokens]) if (token < size) words[token >>> 5]! &= ~(1 << (token & 31));
    }
    for (const item of config.items) {
      const { tokens, edges } = states[item.state]!;
      for (const { id } of tokens) allow(words, id);
      if (edges.length > 0) this.#writeItem(item, words);
    }
    if (config.isFinal) for (const token of stopTokens) if (token < size) allow(words, token);
  }

  #writeItem(item: Item, words: Int32Array): void {
    const { state, frame } = item;
    if (state === this.#machine.automaton.characterStart && frame.call !== null && frame.call.afterQuote >= 0) {
      this.#writeString(item, words);
      return;
    }
    const local = this.#local(state);
    if (local.tokens) for (const token of local.tokens) allow(words, token);
    if (local.words) merge(words, local.words);
    if (local.exits.length === 0) return;
    const after = this.#machine.after(frame);
    for (const node of local.exits) this.#descend(after, node, words, null);
  }

  /** Between two characters of a string with room for so many more. */
  #writeString({ frame }: Item, words: Int32Array): void {
    const { quoteNodes, quoteCounts } = this.#characters;
    const { min, max, afterQuote } = frame.call!;
    const least = Math.max(0, min - frame.count);
    const most = max === null ? notCharacters - 1 : max - frame.count;
    merge(words, this.#characters.atMost(most));
    const after = this.#machine.within(afterQuote, frame.parent!);
    const { end } = this.#trie;
    for (let index = 0; index < quoteNodes.length; index++) {
      const count = quoteCounts[index]!;
      if (count < least || count > most || count === 0) continue;
      const node = quoteNodes[index]!;
      this.#allowNode(node, words);
      if (end[node]! > node + 1) this.#descend(after, node, words, null);
    }
  }

  #local(state: number): Local {
    const known = this.#locals.get(state);
    if (known) return known;
    const words = new Int32Array(this.#words);
    const exits: number[] = [];
    this.#descend(this.#machine.alone(state), 0, words, exits);
    const tokens = listed(words);
    const local: Local = tokens.length < maxListed ? { tokens, words: null, exits } : { tokens: null, words, exits };
    remember(this.#locals, state, local, maxLocals);
    return local;
  }

  #allowNode(node: number, words: Int32Array): void {
    const { firstToken, tokens } = this.#trie;
    for (let at = firstToken[node]!; at < firstToken[node + 1]!; at++) allow(words, tokens[at]!);
  }

  /** Allows the tokens below a node that a config at that node admits; `exits` gets nodes behind which a caller decides. */
  #descend(config: Config, top: number, words: Int32Array, exits: number[] | null): void {
    const { byte, depth, end, firstToken, tokens } = this.#trie;
    if (this.#openString(config, top, words, exits)) return;
    const machine = this.#machine;
    const base = depth[top]!;
    const path: Config[] = [config];
    const last = end[top]!;
    for (let node = top + 1; node < last; ) {
      const level = depth[node]! - base;
      const from = path[level - 1]!;
      const next = from.next[byte[node]!] ?? machine.step(from, byte[node]!);
      if (next === machine.dead) {
        node = end[node]!;
        continue;
      }
      for (let at = firstToken[node]!; at < firstToken[node + 1]!; at++) allow(words, tokens[at]!);
      if (end[node]! > node + 1) {
        if (next.isExit) exits?.push(node);
        if (next.items.length === 0 || this.#openString(next, node, words, exits)) {
          node = end[node]!;
          continue;
        }
      }
      path[level] = next;
      node++;
    }
  }

  /** Below a node between two characters of a string without bounds the table says it all. */
  #openString(config: Config, top: number, words: Int32Array, exits: number[] | null): boolean {
    const { begun, whole, quoteNodes } = this.#characters;
    if (!config.isOpenString || whole[top] === notCharacters) return false;
    const { end, firstToken, tokens } = this.#trie;
    const last = end[top]!;
    for (let at = firstToken[top + 1]!; at < firstToken[last]!; at++) {
      const token = tokens[at]!;
      if (begun[token] !== notCharacters) allow(words, token);
    }
    const { frame } = config.items.find(({ state }) => state === this.#machine.automaton.characterStart)!;
    const after = this.#machine.within(frame.call!.afterQuote, frame.parent!);
    for (let index = firstAbove(quoteNodes, top); index < quoteNodes.length && quoteNodes[index]! < last; index++) {
      const node = quoteNodes[index]!;
      this.#allowNode(node, words);
      if (end[node] === node + 1) continue;
      if (after.isExit) exits?.push(node);
      this.#descend(after, node, words, exits);
    }
    return true;
  }
}

function allow(words: Int32Array, token: number): void {
  words[token >>> 5]! |= 1 << (token & 31);
}

function merge(words: Int32Array, others: Int32Array): void {
  for (let index = 0; index < words.length; index++) words[index]! |= others[index]!;
}

/** Tokens of a mask in order. */
function listed(words: Int32Array): Int32Array {
  const tokens: number[] = [];
  for (let index = 0; index < words.length; index++) {
    for (let bits = words[index]!; bits !== 0; bits &= bits - 1)
      tokens.push(index * 32 + 31 - Math.clz32(bits & -bits));
  }
  return Int32Array.from(tokens);
}

/** Index of the first value above another in a rising list. */
function firstAbove(rising: Int32Array, value: number): number {
  let low = 0;
  let high = rising.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rising[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

function remember<Value>(kept: Map<number, Value>, key: number, value: Value, most: number): void {
  if (kept.size >= most) kept.delete(kept.keys().next().value!);
  kept.set(key, value);
}
