/**
 * A node of the forward graph. Every activation is a matrix `[rows, width]` of float32; heads, experts and segments are
 * divisions of the width. Nodes are immutable and written in global dimensions: the shard pass derives a rank's own.
 */

/**
 * How many rows a value has in a step: known only at run time. `patches` are pieces of images, `features` what a vision
 * tower makes of whole blocks of them.
 */
export type RowSymbol = 'rows' | 'sampled' | 'patches' | 'features';

/** One output of a node. */
export interface Value {
  /** Unique within its graph, in creation order. */
  readonly id: number;
  /** Name in a program dump, such as `layers.0.qkv`. */
  readonly name: string;
  readonly rows: RowSymbol;
  /** Columns of each division of the width, in order; a plain value has one. */
  readonly segments: readonly number[];
  /** The node that makes it, and which of its outputs it is. */
  readonly node: Node;
  readonly output: number;
  /** It is one segment of another value, never a copy: the same rows, a share of the columns. */
  readonly view?: { readonly of: Value; readonly index: number };
}

/** Columns of a value: the sum of its segments. */
export const widthOf = (value: Pick<Value, 'segments'>): number => value.segments.reduce((sum, s) => sum + s, 0);

/** A weight as the graph sees it: one slot of the weights table, whole or one rank's part of it. */
export interface Weight {
  /** Slot of the table with its layer, such as `layers.3.qkv`. */
  readonly slot: string;
  /** A matrix is one packed tensor per segment; a vector is one tensor that holds the rows of all segments in order. */
  readonly segments: readonly WeightSegment[];
  /** Input width; null for a vector. */
  readonly cols: number | null;
  /** What a rank holds of it: everything, a share of its rows, or a share of its columns. */
  readonly cut: { readonly axis: 'rows' | 'cols'; readonly name: string } | null;
  /** Rank 0 holds it and the others hold zeros: it may be added to a partial sum. */
  readonly once?: boolean;
}

export interface WeightSegment {
  /** Name within the slot, such as `q`. */
  readonly name: string;
  readonly rows: number;
  /** Index into the program's tensor list. */
  readonly tensor: number;
}

export type AttributeValue = number;
export type Attributes = Readonly<Record<string, AttributeValue>>;

export interface Node {
  readonly id: number;
  /** Name of an op: a key of `opcodes`. */
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly Value[];
  /** By role of the op's signature; an absent optional role is undefined. */
  readonly weights: Readonly<Record<string, Weight | undefined>>;
  readonly attributes: Attributes;
  readonly outputs: readonly Value[];
}

/** A forward graph: nodes in execution order. */
export interface Graph {
  readonly nodes: readonly Node[];
}
