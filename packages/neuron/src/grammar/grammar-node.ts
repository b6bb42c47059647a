/**
 * What a grammar is written in: nodes over bytes. A text is admitted when its UTF-8 bytes are. Nodes are plain data; what
 * refers to itself does so through a named rule.
 */
export type GrammarNode =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'range'; readonly low: number; readonly high: number }
  | { readonly kind: 'sequence'; readonly parts: readonly GrammarNode[] }
  | { readonly kind: 'choice'; readonly options: readonly GrammarNode[] }
  | { readonly kind: 'repeat'; readonly body: GrammarNode; readonly min: number; readonly max: number | null }
  | { readonly kind: 'rule'; readonly name: string }
  | { readonly kind: 'automaton'; readonly automaton: ByteAutomaton }
  /** A graph whose arcs are nodes; state 0 is the start. */
  | { readonly kind: 'graph'; readonly states: readonly GraphState[] }
  /** One token by its id: a mark that is no text. */
  | { readonly kind: 'token'; readonly id: number }
  /** Any run of tokens at all, marks included, but for those in `except`. */
  | { readonly kind: 'free'; readonly except: ReadonlySet<number> }
  /** JSON string characters and the closing quote, so many characters as said. */
  | { readonly kind: 'characters'; readonly min: number; readonly max: number | null };

export interface GraphState {
  readonly isFinal: boolean;
  readonly arcs: readonly { readonly body: GrammarNode; readonly target: number }[];
}

/** A finite automaton over bytes; state 0 is the start. */
export interface ByteAutomaton {
  readonly states: readonly ByteState[];
}

export interface ByteState {
  readonly isFinal: boolean;
  readonly edges: readonly ByteEdge[];
  /** From here on any JSON string characters follow, then the closing quote: stands in for edges. */
  readonly isAnyTail?: boolean;
}

export interface ByteEdge {
  readonly low: number;
  readonly high: number;
  readonly target: number;
}

/** A grammar: its rules by name, and the one that it starts with. */
export interface Grammar {
  readonly rules: ReadonlyMap<string, GrammarNode>;
  readonly start: string;
}

const utf8 = new TextEncoder();

export const literal = (text: string): GrammarNode => ({ kind: 'bytes', bytes: utf8.encode(text) });
export const byteRange = (low: number, high: number): GrammarNode => ({ kind: 'range', low, high });
export const rule = (name: string): GrammarNode => ({ kind: 'rule', name });
export const empty: GrammarNode = { kind: 'sequence', parts: [] };
/** Admits nothing, not even the empty text. */
export const nothing: GrammarNode = { kind: 'choice', options: [] };

export const sequence = (...parts: readonly GrammarNode[]): GrammarNode =>
  parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };

export const choice = (...options: readonly GrammarNode[]): GrammarNode =>
  options.length === 1 ? options[0]! : { kind: 'choice', options };

export const repeat = (body: GrammarNode, min: number, max: number | null): GrammarNode => ({
  kind: 'repeat',
  body,
  min,
  max,
});

export const optional = (body: GrammarNode): GrammarNode => repeat(body, 0, 1);
