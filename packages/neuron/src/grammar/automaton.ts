/** A compiled grammar: states of all rules in one list, with edges over bytes, calls of rules, and marks. */
export interface Automaton {
  readonly states: readonly State[];
  /** First state of the start rule. */
  readonly start: number;
  /** First state of a JSON string character; -1 when the grammar has none. */
  readonly characterStart: number;
}

export interface State {
  /** Byte ranges and where they lead. */
  readonly edges: readonly Edge[];
  /** Left without reading anything. */
  readonly silent: readonly number[];
  readonly calls: readonly Call[];
  readonly tokens: readonly { readonly id: number; readonly target: number }[];
  /** Tokens that may not follow in a free run; null: this is no free run. */
  readonly freeExcept: ReadonlySet<number> | null;
  /** The rule may end here. */
  readonly isFinal: boolean;
}

export interface Edge {
  readonly low: number;
  readonly high: number;
  readonly target: number;
}

/** A rule that is passed `min` to `max` times before `target`. */
export interface Call {
  readonly id: number;
  readonly start: number;
  readonly target: number;
  readonly min: number;
  readonly max: number | null;
  /** Of string characters: the state behind the closing quote; else -1. */
  readonly afterQuote: number;
}
