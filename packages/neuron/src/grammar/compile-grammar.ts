import type { Automaton, Call, Edge, State } from './automaton.js';
import type { ByteAutomaton, Grammar, GrammarNode } from './grammar-node.js';
import { jsonCharacter } from './json-character.js';

/** A grammar beyond this is refused: it would take longer to read than an answer takes to write. */
const maxStates = 400_000;
/** Repetitions whose copies are fewer states than this are written out; more are counted. */
const maxUnrolledStates = 48;
const quote = 0x22;

interface Draft {
  edges: Edge[];
  silent: number[];
  calls: Call[];
  tokens: { id: number; target: number }[];
  freeExcept: ReadonlySet<number> | null;
  isFinal: boolean;
}

/**
 * Compiles a grammar to an automaton, a rule at a time; yields between rules so that the caller may let others run.
 * What can never lead to an end is left out, and what only bytes that no token spells lead to.
 */
export function* compileGrammar(
  grammar: Grammar,
  isSpellable: (byte: number) => boolean,
  refuse: (reason: string) => never,
): Generator<void, Automaton, void> {
  const builder = new AutomatonBuilder(grammar, refuse);
  const start = builder.ruleStart(grammar.start);
  while (builder.buildNext()) yield;
  const { states } = builder;
  if (hasLeftRecursion(states, builder.starts)) {
    refuse('a rule begins with itself');
  }
  yield;
  const productive = findProductive(states, isSpellable);
  if (!productive[start]) {
    refuse('it admits nothing that this model could write');
  }
  return { states: states.map((state) => pruned(state, productive)), start, characterStart: builder.characterStart };
}

class AutomatonBuilder {
  readonly states: Draft[] = [];
  characterStart = -1;
  readonly #grammar: Grammar;
  readonly #refuse: (reason: string) => never;
  readonly #starts = new Map<string, number>();
  readonly #bodies: { readonly start: number; readonly node: GrammarNode }[] = [];
  #calls = 0;

  constructor(grammar: Grammar, refuse: (reason: string) => never) {
    this.#grammar = grammar;
    this.#refuse = refuse;
  }

  /** First states of everything that is called. */
  get starts(): ReadonlySet<number> {
    return new Set(this.states.flatMap(({ calls }) => calls.map(({ start }) => start)));
  }

  ruleStart(name: string): number {
    const known = this.#starts.get(name);
    if (known !== undefined) return known;
    const node = this.#grammar.rules.get(name);
    if (!node) return this.#refuse(`there is no rule '${name}'`);
    const start = this.#addBody(node);
    this.#starts.set(name, start);
    return start;
  }

  /** Builds one body that was asked for; false when none is left. */
  buildNext(): boolean {
    const next = this.#bodies.pop();
    if (!next) return false;
    const end = this.#state();
    this.states[end]!.isFinal = true;
    this.#build(next.node, next.start, end);
    return true;
  }

  #addBody(node: GrammarNode): number {
    const start = this.#state();
    this.#bodies.push({ start, node });
    return start;
  }

  #state(): number {
    if (this.states.length >= maxStates) {
      this.#refuse(`it has more than ${maxStates} states`);
    }
    const draft = { edges: [], silent: [], calls: [], tokens: [], freeExcept: null, isFinal: false };
    return this.states.push(draft) - 1;
  }

  #link(from: number, to: number): void {
    if (from !== to) this.states[from]!.silent.push(to);
  }

  #edge(from: number, low: number, high: number, target: number): void {
    this.states[from]!.edges.push({ low, high, target });
  }

  #call(from: number, call: Omit<Call, 'id'>): void {
    this.states[from]!.calls.push({ id: this.#calls++, ...call });
  }

  /** Writes a node between two states. */
  #build(node: GrammarNode, from: number, to: number): void {
    switch (node.kind) {
      case 'bytes': {
        let at = from;
        for (const [index, byte] of node.bytes.entries()) {
          const next = index === node.bytes.length - 1 ? to : this.#state();
          this.#edge(at, byte, byte, next);
          at = next;
        }
        if (node.bytes.length === 0) this.#link(from, to);
        return;
      }
      case 'range':
        this.#edge(from, node.low, node.high, to);
        return;
      case 'sequence': {
        let at = from;
        for (const [index, part] of node.parts.entries()) {
          const next = index === node.parts.length - 1 ? to : this.#state();
          this.#build(part, at, next);
          at = next;
        }
        if (node.parts.length === 0) this.#link(from, to);
        return;
      }
      case 'choice':
        for (const option of node.options) this.#build(option, from, to);
        return;
      case 'repeat':
        this.#repeat(node.body, node.min, node.max, from, to);
        return;
      case 'rule':
        this.#call(from, { start: this.ruleStart(node.name), target: to, min: 1, max: 1, afterQuote: -1 });
        return;
      case 'automaton':
        this.#automaton(node.automaton, from, to);
        return;
      case 'graph': {
        const ids = node.states.map(() => this.#state());
        this.#link(from, ids[0]!);
        for (const [index, { isFinal, arcs }] of node.states.entries()) {
          if (isFinal) this.#link(ids[index]!, to);
          for (const { body, target } of arcs) this.#build(body, ids[index]!, ids[target]!);
        }
        return;
      }
      case 'token':
        this.states[from]!.tokens.push({ id: node.id, target: to });
        return;
      case 'free': {
        const run = this.#state();
        this.states[run]!.freeExcept = node.except;
        this.#link(from, run);
        this.#link(run, to);
        return;
      }
      case 'characters':
        this.#characters(node.min, node.max, from, to);
        return;
    }
  }

  #repeat(body: GrammarNode, min: number, max: number | null, from: number, to: number): void {
    if (max !== null && (max < min || max <= 0)) {
      if (max === min) this.#link(from, to);
      return;
    }
    const copies = max ?? min;
    if (copies <= 1 || copies * sizeOf(body) <= maxUnrolledStates) {
      this.#unrolled(body, min, max, from, to);
      return;
    }
    if (min === 0) this.#link(from, to);
    const inner = this.#state();
    this.#link(from, inner);
    this.#call(inner, { start: this.#addBody(body), target: to, min: Math.max(1, min), max, afterQuote: -1 });
  }

  #unrolled(body: GrammarNode, min: number, max: number | null, from: number, to: number): void {
    let at = from;
    for (let i = 0; i < min; i++) {
      const next = this.#state();
      this.#build(body, at, next);
      at = next;
    }
    if (max === null) {
      const loop = this.#state();
      const back = this.#state();
      this.#link(at, loop);
      this.#build(body, loop, back);
      this.#link(back, loop);
      this.#link(loop, to);
      return;
    }
    for (let i = min; i < max; i++) {
      const inner = this.#state();
      const next = this.#state();
      this.#link(at, to);
      this.#link(at, inner);
      this.#build(body, inner, next);
      at = next;
    }
    this.#link(at, to);
  }

  #characters(min: number, max: number | null, from: number, to: number): void {
    if (this.characterStart < 0) {
      this.characterStart = this.#addBody({ kind: 'automaton', automaton: jsonCharacter });
    }
    const closing = this.#state();
    this.#edge(closing, quote, quote, to);
    if (min === 0) this.#link(from, closing);
    if (max === 0) return;
    const inner = this.#state();
    this.#link(from, inner);
    const count = { min: Math.max(1, min), max };
    this.#call(inner, { start: this.characterStart, target: closing, ...count, afterQuote: to });
  }

  #automaton({ states }: ByteAutomaton, from: number, to: number): void {
    // The state before the node is its first, unless something leads back there: that would lead out of the node, too.
    const isEntry = states.every(({ edges }) => edges.every(({ target }) => target !== 0));
    const ids = states.map((_, index) => (isEntry && index === 0 ? from : this.#state()));
    this.#link(from, ids[0]!);
    for (const [index, { isFinal, edges, isAnyTail }] of states.entries()) {
      if (isFinal) this.#link(ids[index]!, to);
      for (const { low, high, target } of edges) this.#edge(ids[index]!, low, high, ids[target]!);
      if (isAnyTail) this.#characters(0, null, ids[index]!, to);
    }
  }
}

function sizeOf(node: GrammarNode): number {
  switch (node.kind) {
    case 'bytes':
      return node.bytes.length;
    case 'sequence':
      return node.parts.reduce((sum, part) => sum + sizeOf(part), 0);
    case 'choice':
      return node.options.reduce((sum, option) => sum + sizeOf(option), 1);
    case 'repeat':
      return sizeOf(node.body) * Math.max(1, node.max ?? node.min + 1);
    case 'graph':
      return node.states.reduce((sum, { arcs }) => sum + arcs.reduce((all, { body }) => all + sizeOf(body), 1), 0);
    case 'automaton':
      return node.automaton.states.length;
    default:
      return 1;
  }
}

/** Whether some rule calls itself, directly or through others, before it reads anything. */
function hasLeftRecursion(states: readonly Draft[], starts: ReadonlySet<number>): boolean {
  const nullable = findNullable(states, starts);
  const called = new Map<number, ReadonlySet<number>>();
  for (const start of starts) called.set(start, leftCalls(states, start, nullable));
  const isOpen = new Map<number, boolean>();
  const visit = (start: number): boolean => {
    const seen = isOpen.get(start);
    if (seen !== undefined) return seen;
    isOpen.set(start, true);
    const found = [...(called.get(start) ?? [])].some(visit);
    isOpen.set(start, false);
    return found;
  };
  return [...starts].some(visit);
}

/** Rules that admit the empty text. */
function findNullable(states: readonly Draft[], starts: ReadonlySet<number>): ReadonlySet<number> {
  const nullable = new Set<number>();
  for (let hasGrown = true; hasGrown; ) {
    hasGrown = false;
    for (const start of starts) {
      if (nullable.has(start) || !silentFrom(states, start, nullable).some((id) => states[id]!.isFinal)) continue;
      nullable.add(start);
      hasGrown = true;
    }
  }
  return nullable;
}

function leftCalls(states: readonly Draft[], start: number, nullable: ReadonlySet<number>): ReadonlySet<number> {
  return new Set(silentFrom(states, start, nullable).flatMap((id) => states[id]!.calls.map((call) => call.start)));
}

/** States that are reached without reading anything. */
function silentFrom(states: readonly Draft[], start: number, nullable: ReadonlySet<number>): number[] {
  const reached = new Set([start]);
  for (const id of reached) {
    const { silent, calls } = states[id]!;
    for (const next of silent) reached.add(next);
    for (const call of calls) if (nullable.has(call.start)) reached.add(call.target);
  }
  return [...reached];
}

/** Which states can reach the end of their rule. */
function findProductive(states: readonly Draft[], isSpellable: (byte: number) => boolean): Uint8Array {
  const productive = new Uint8Array(states.length);
  const readers: number[][] = states.map(() => []);
  const spelled = (low: number, high: number): boolean => {
    for (let byte = low; byte <= high; byte++) if (isSpellable(byte)) return true;
    return false;
  };
  const queue: number[] = [];
  for (const [id, { edges, silent, calls, tokens, isFinal }] of states.entries()) {
    for (const { low, high, target } of edges) if (spelled(low, high)) readers[target]!.push(id);
    for (const target of silent) readers[target]!.push(id);
    for (const { target } of tokens) readers[target]!.push(id);
    for (const { target, start } of calls) {
      readers[target]!.push(id);
      readers[start]!.push(id);
    }
    if (isFinal) queue.push(id);
  }
  const isSo = (id: number): boolean => {
    const { edges, silent, calls, tokens, isFinal } = states[id]!;
    return (
      isFinal ||
      silent.some((target) => productive[target] === 1) ||
      tokens.some(({ target }) => productive[target] === 1) ||
      calls.some(({ start, target }) => productive[start] === 1 && productive[target] === 1) ||
      edges.some(({ low, high, target }) => productive[target] === 1 && spelled(low, high))
    );
  };
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    if (productive[id] === 1 || !isSo(id)) continue;
    productive[id] = 1;
    queue.push(...readers[id]!);
  }
  return productive;
}

function pruned(state: Draft, productive: Uint8Array): State {
  const leads = ({ target }: { readonly target: number }): boolean => productive[target] === 1;
  return {
    ...state,
    edges: state.edges.filter(leads),
    silent: state.silent.filter((target) => productive[target] === 1),
    calls: state.calls.filter((call) => leads(call) && productive[call.start] === 1),
    tokens: state.tokens.filter(leads),
  };
}
