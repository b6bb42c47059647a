import type { KvFormat } from './backend.js';
import type { OpName } from './opcodes.js';
import type { KvLayer } from './program.js';
import type { StepLayout } from './step.js';
import type { Attributes, RowSymbol, Weight } from './value.js';

/**
 * What a pass or a backend may ask about an op. One definition per op in `ops/<op>.ts`; no pass switches on an op's name.
 *
 * Inputs and outputs stand in the order of the op's signature (`opcodes.ts`). The `quantised` roles are the fuse pass's and
 * a backend's own: a definition never sees them.
 */
export interface OpDefinition {
  readonly name: OpName;
  /** What it keeps between steps outside the arena, or reads of it, of the layer in its attribute `layer`. */
  readonly state?: OpState;
  /** Outputs in the dimensions of its inputs and weights, whole or one rank's; throws `graph_invalid` when they do not fit. */
  shape(node: ShapeContext): readonly Shape[];
  /** How the outputs are divided, given how the inputs and weights are. */
  shard(node: ShardContext): ShardResult;
  /** Whether it may run on inputs in these states, some of them partial; where it may not, the partial ones are summed first. */
  acceptsPartial(inputs: readonly ShardState[]): boolean;
  cost(node: CostContext): Cost;
  /**
   * Form of operands that an instruction's words do not tell. Without it the first input is `k` wide, every other operand
   * `n`, and all have the instruction's rows.
   */
  operands?(instruction: InstructionContext): Readonly<Record<string, OperandForm>>;
  /** What the op means, in float64: writes the outputs. */
  reference(context: ReferenceContext): void;
}

/** A sequence's state of one layer, as an op touches it: two ops conflict when one of them writes the same kind and layer. */
export interface OpState {
  /** `features` are of the step, not of a layer. */
  readonly kind: 'kv' | 'conv' | 'delta' | 'features';
  readonly access: 'reads' | 'writes' | 'updates';
  /** The cache one layer needs (kv; on the op that writes it). */
  kvLayer?(node: ShapeContext): KvLayer;
  /** Float32 elements one sequence needs in one layer (conv, delta). */
  elements?(node: ShapeContext): number;
}

/** What an instruction's words say, for `operands`. */
export interface InstructionContext {
  readonly n: number;
  readonly k: number;
  param(name: string): number;
  cache(layer: number): KvLayer;
}

export interface OperandForm {
  readonly width?: number;
  readonly rows?: RowSymbol;
}

/** One value's form: rows are known at run time, columns by segment. */
export interface Shape {
  readonly rows: RowSymbol;
  readonly segments: readonly number[];
}

export interface ShapeContext {
  /** Name of the node, for errors. */
  readonly name: string;
  readonly inputs: readonly Shape[];
  readonly weights: Readonly<Record<string, Weight | undefined>>;
  readonly attributes: Attributes;
}

/**
 * How a value stands on the ranks: the same everywhere, one addend of a sum on each, or a share of the columns of every
 * segment on each, divided as the cut of this name says.
 */
export type ShardState =
  | { readonly kind: 'mirrored' }
  | { readonly kind: 'partial' }
  | { readonly kind: 'split'; readonly cut: string };

export const mirrored: ShardState = { kind: 'mirrored' };
export const partial: ShardState = { kind: 'partial' };
export const split = (cut: string): ShardState => ({ kind: 'split', cut });
export const sameState = (a: ShardState, b: ShardState): boolean =>
  a.kind === b.kind && (a.kind !== 'split' || b.kind !== 'split' || a.cut === b.cut);
/** As it reads in a refusal. */
export const describeState = (state: ShardState): string =>
  state.kind === 'split' ? `split by '${state.cut}'` : state.kind;

export interface ShardContext {
  readonly name: string;
  /** State of each input; none is partial unless `acceptsPartial` allowed it. */
  readonly inputs: readonly ShardState[];
  /** Weights in global dimensions, with their cuts. */
  readonly weights: Readonly<Record<string, Weight | undefined>>;
  readonly attributes: Attributes;
  readonly rank: number;
  readonly ranks: number;
  /** First row of the first segment of a weight that this rank holds: where its share of a vocabulary starts. */
  rowStart(role: string): number;
}

export type ShardResult =
  /** States of the outputs, and attributes that differ on this rank. */
  | { readonly outputs: readonly ShardState[]; readonly attributes?: Attributes }
  /** The split input of this index has to stand whole on rank 0 first. */
  | { readonly gather: number }
  /** It cannot run on these states: what is, what is wanted (the two halves of a refusal). */
  | { readonly refuse: { readonly have: string; readonly want: string } };

export interface CostContext {
  /** Rows of this step, and tokens of cache that a row attends to. */
  readonly rows: number;
  readonly cacheTokens: number;
  readonly inputs: readonly Shape[];
  readonly outputs: readonly Shape[];
  readonly weights: Readonly<Record<string, Weight | undefined>>;
  readonly attributes: Attributes;
  /** Stored bytes of all segments of a weight. */
  weightBytes(role: string): number;
}

export interface Cost {
  /** Multiply-accumulates. */
  readonly macs: number;
  readonly weightBytes: number;
  readonly activationBytes: number;
}

/** A `[rows, width]` window of an arena: element (r, c) is `data[offset + r * stride + c]`. */
export interface Matrix {
  readonly data: Float64Array;
  readonly offset: number;
  readonly stride: number;
  readonly width: number;
}

/** One decoded segment of a weight, row-major. Float32 holds every format exactly. */
export interface ReferenceTensor {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array;
}

/** Cache of one attention layer on one rank. */
export interface ReferenceCache {
  readonly kvHeads: number;
  readonly headDim: number;
  readonly format: KvFormat;
  readonly keys: Float64Array;
  readonly values: Float64Array;
  /** Index in `keys` and `values` of the first of `headDim` elements. */
  at(page: number, tokenInPage: number, head: number): number;
  /** The value as the cache's format keeps it. */
  round(value: number): number;
}

/** Recurrent state of one linear-attention layer on one rank: each sequence's part starts at slot * elements. */
export interface ReferenceState {
  readonly convElements: number;
  readonly deltaElements: number;
  readonly conv: Float64Array;
  readonly delta: Float64Array;
}

/** What an instruction sees when the reference backend runs it. Roles are those of the op's signature, without `?` and `...`. */
export interface ReferenceContext {
  /** Rows of this instruction in this step. */
  readonly rows: number;
  readonly rank: number;
  readonly ranks: number;
  input(role: string): Matrix;
  output(role: string): Matrix;
  /** Segments of a weight, in order; empty when an optional one is absent. */
  weight(role: string): readonly ReferenceTensor[];
  param(name: string): number;
  /** The input of this role on every rank, in rank order: what a collective reads. */
  peers(role: string): readonly Matrix[];
  readonly step: { readonly layout: StepLayout; readonly i32: Int32Array; readonly f32: Float32Array };
  cache(layer: number): ReferenceCache;
  state(layer: number): ReferenceState;
}
