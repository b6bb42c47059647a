import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Automaton } from './automaton.js';
import { buildCharacterTable, type CharacterTable } from './character-table.js';
import { compileGrammar } from './compile-grammar.js';
import type { Grammar } from './grammar-node.js';
import { CompiledGrammar } from './matcher.js';
import { runSliced } from './run-sliced.js';
import { buildTokenTrie, type GrammarVocabulary, type TokenTrie } from './token-trie.js';

/** Grammars kept for the next request that asks for the same. */
const maxKept = 16;
/** The event loop is never held longer than about this. */
const sliceMs = 4;
/** A state from which at least so many bytes lead on allows so many tokens that its walk is done ahead of the answer. */
const manyBytes = 24;
/** States whose walk is done ahead. */
const maxWarmed = 48;

/** Writes a grammar, a rule at a time. */
export type GrammarSource = () => Generator<void, Grammar, void>;

/** Compiles grammars for one vocabulary and keeps the last. Owner: the model; it holds memory only. */
export class GrammarCompiler {
  readonly #vocabulary: GrammarVocabulary;
  readonly #nowMs: () => number;
  readonly #kept = new Map<string, Promise<CompiledGrammar>>();
  #tables: Promise<{ readonly trie: TokenTrie; readonly characters: CharacterTable }> | null = null;

  constructor(vocabulary: GrammarVocabulary, nowMs: () => number) {
    this.#vocabulary = vocabulary;
    this.#nowMs = nowMs;
  }

  /** The grammar of this key, made once; `refuse` throws the error that says why it cannot be used. */
  compile(key: string, source: GrammarSource, refuse: (reason: string) => never): Promise<CompiledGrammar> {
    const known = this.#kept.get(key);
    const made = known ?? this.#make(source, refuse);
    this.#kept.delete(key);
    this.#kept.set(key, made);
    if (this.#kept.size > maxKept) this.#kept.delete(this.#kept.keys().next().value!);
    made.catch(() => {
      if (this.#kept.get(key) === made) this.#kept.delete(key);
    });
    return made;
  }

  async #make(source: GrammarSource, refuse: (reason: string) => never): Promise<CompiledGrammar> {
    this.#tables ??= this.#run(buildTables(this.#vocabulary));
    const { trie, characters } = await this.#tables;
    return this.#run(makeGrammar(source, trie, characters, refuse));
  }

  #run<Result>(steps: Generator<void, Result, void>): Promise<Result> {
    return runSliced(steps, { nowMs: this.#nowMs, yieldTurn: () => nextTurn(), sliceMs });
  }
}

function* buildTables(vocabulary: GrammarVocabulary) {
  const trie = yield* buildTokenTrie(vocabulary);
  const characters = yield* buildCharacterTable(trie);
  return { trie, characters };
}

/** Writes, compiles and warms a grammar. */
export function* makeGrammar(
  source: GrammarSource,
  trie: TokenTrie,
  characters: CharacterTable,
  refuse: (reason: string) => never,
): Generator<void, CompiledGrammar, void> {
  const grammar = yield* source();
  const automaton = yield* compileGrammar(grammar, trie.isSpellable, refuse);
  const compiled = new CompiledGrammar(automaton, trie, characters);
  for (const state of broadStates(automaton)) {
    yield;
    compiled.masks.warm(state);
  }
  return compiled;
}

/** States with the most bytes to go on with. */
function broadStates({ states, characterStart }: Automaton): number[] {
  const breadth = states.map(({ edges }) => edges.reduce((sum, { low, high }) => sum + high - low + 1, 0));
  return [...states.keys()]
    .filter((state) => breadth[state]! >= manyBytes && state !== characterStart)
    .slice(0, maxWarmed);
}
