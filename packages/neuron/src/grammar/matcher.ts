import type { TokenConstraint } from '../engine/generation.js';
import type { Automaton } from './automaton.js';
import type { CharacterTable } from './character-table.js';
import { type Config, Machine } from './machine.js';
import { TokenMasks } from './token-masks.js';
import type { TokenTrie } from './token-trie.js';

/** Configs that a machine may learn before it forgets them all. */
const maxConfigs = 2048;

/** A grammar ready for one vocabulary; any number of matchers share what it learns. */
export class CompiledGrammar {
  readonly machine: Machine;
  readonly masks: TokenMasks;
  readonly trie: TokenTrie;

  constructor(automaton: Automaton, trie: TokenTrie, characters: CharacterTable) {
    this.machine = new Machine(automaton);
    this.trie = trie;
    this.masks = new TokenMasks(this.machine, trie, characters);
  }

  /** A matcher at the beginning of a text. */
  open(): GrammarMatcher {
    return new GrammarMatcher(this);
  }
}

/** Follows one output through a grammar, token by token. */
export class GrammarMatcher implements TokenConstraint {
  readonly #grammar: CompiledGrammar;
  #config: Config;
  #epoch: number;
  #isEnded = false;

  constructor(grammar: CompiledGrammar) {
    this.#grammar = grammar;
    this.#config = grammar.machine.start();
    this.#epoch = grammar.machine.epoch;
  }

  /** The output may end here. */
  get isAccepting(): boolean {
    return this.#config.isFinal;
  }

  /** Nothing may follow: the output has ended, or can only end. */
  get isComplete(): boolean {
    return this.#isEnded || (this.#config.isFinal && this.#config.items.length === 0);
  }

  /** Any token may follow, also those that end the output. */
  get #isFree(): boolean {
    const { states } = this.#grammar.machine.automaton;
    const { isFinal, items } = this.#config;
    const free = items.find(({ state }) => states[state]!.freeExcept);
    if (!isFinal || !free) return false;
    const marks = new Set(items.flatMap(({ state }) => states[state]!.tokens.map(({ id }) => id)));
    return [...states[free.state]!.freeExcept!].every((token) => marks.has(token));
  }

  /** Which tokens may follow, a bit for each: shared, not to be written to. Null: any may. */
  mask(): Int32Array | null {
    if (this.#isFree) return null;
    this.#refresh();
    return this.#grammar.masks.of(this.#config);
  }

  /** Takes the next token of the output; false when the grammar does not admit it, and nothing has happened. */
  accept(token: number): boolean {
    const { machine, trie } = this.#grammar;
    const { stopTokens, marks } = trie.vocabulary;
    if (this.#isEnded) return false;
    if (stopTokens.has(token)) {
      this.#isEnded = this.#config.isFinal;
      return this.#isEnded;
    }
    this.#refresh();
    let next = machine.stepToken(this.#config, token);
    if (next === machine.dead) {
      const bytes = marks.has(token) ? [] : trie.vocabulary.bytesOf(token);
      if (bytes.length === 0) return false;
      next = this.#config;
      for (const byte of bytes) next = machine.step(next, byte);
    }
    if (next === machine.dead) return false;
    this.#config = next;
    return true;
  }

  /** Before every use: the machine may have forgotten what it knew, or may have to. */
  #refresh(): void {
    const { machine } = this.#grammar;
    if (machine.size > maxConfigs) machine.forget();
    if (this.#epoch === machine.epoch) return;
    this.#config = machine.adopt(this.#config);
    this.#epoch = machine.epoch;
  }
}
