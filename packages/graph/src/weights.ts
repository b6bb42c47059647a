import type { TensorEntry } from '@helexa/core';

/**
 * The weights table: one row per slot, and everything that is ever asked about a weight follows from it - what to read,
 * which bytes each rank reads, how it is divided, what memory it takes, what a random checkpoint of this family looks like.
 */

/**
 * What may be divided among ranks, named once per family and followed by rows of the table.
 *
 * @example { name: 'heads', unit: 'kv heads', count: 8, repeats: true }
 */
export interface Cut {
  readonly name: string;
  /** What one unit is called in a refusal, in plural. */
  readonly unit: string;
  /** Indivisible units in the whole model. */
  readonly count: number;
  /** When ranks outnumber the units of a segment, ranks may share a unit by holding copies (keys and values of one head). */
  readonly repeats?: boolean;
  /** Ranks may hold unequal shares (a vocabulary that does not divide). */
  readonly uneven?: boolean;
}

/** Where the rows of one segment come from in one kind of file. */
export interface Source {
  /** Tensor name with holes `{layer}` and `{expert}`. */
  readonly tensor: string;
  /** Shape in the file, slowest first, when it is not `[rows, cols]` of the segment itself (a fused region, a squeezed axis). */
  readonly shape?: readonly number[];
  /** File row that holds row `row` of the segment, both counted over all axes but the last. Absent: the same row. */
  readonly row?: (row: number) => number;
  /** Element-wise change of a vector, in float32: `w => 1 + w`. Matrices are never changed. */
  readonly map?: (value: number) => number;
  /** Rows of the segment are stacked from this many tensors, one per `{expert}`. */
  readonly stack?: number;
  /**
   * Columns of a row come in groups of `columns`, taken from `tensor` and these tensors in turn, all of one `shape`. A slot
   * with such a source is not cut along its columns.
   */
  readonly interleaved?: { readonly with: readonly string[]; readonly columns: number };
}

/** A run of rows of a slot, read from its own source: `q`, `k` and `v` of one fused projection. */
export interface Segment {
  readonly name: string;
  /** Rows in all; with `outer` o, they are o equal groups and the cut divides each group. */
  readonly rows: number;
  readonly outer?: number;
  /** Units of the cut in this segment, when it has its own count (query heads of a cut over kv heads). */
  readonly units?: number;
  /** Alternatives, in order; the first whose tensors are all present is read. */
  readonly safetensors: readonly Source[];
  readonly gguf: readonly Source[];
}

export interface WeightRow {
  /** Name within its scope: `qkv`. Per-layer rows are addressed as `layers.3.qkv`. */
  readonly slot: string;
  /** Layers that have it; absent: the model has one. */
  readonly layers?: readonly number[];
  readonly segments: readonly Segment[];
  /** Input width; null for a vector. */
  readonly cols: number | null;
  readonly cut: {
    readonly axis: 'rows' | 'cols';
    readonly cut: Cut;
    /** Columns are this many equal groups and the cut divides each (value heads tiled over key heads). */
    readonly outer?: number;
  } | null;
  /** A bias of a row-parallel projection: rank 0 holds it, the others hold zeros, so the sum carries it once. */
  readonly once?: boolean;
  /** Slot whose tensors serve when this row's are absent from the checkpoint. */
  readonly tie?: string;
  /** Also looked up row by row. */
  readonly lookup?: boolean;
  /** Kept in the checkpoint's format when a model is quantised at load: a router, a gate of one column. */
  readonly exact?: boolean;
  /** The model works without it: the graph asks `builder.has(slot)`. */
  readonly optional?: boolean;
  /** Values computed at load instead of read: a rotary table. `factors` are the source's values when it is present. */
  readonly compute?: (factors: Float32Array | null) => Float32Array;
}

export interface WeightsTable {
  readonly rows: readonly WeightRow[];
  /** Names that a checkpoint may carry and nobody reads: patterns with `*`. */
  readonly ignored: readonly string[];
}

/** A contiguous run of bytes of one file that fills whole rows, or the same columns of consecutive rows. */
export interface ReadRange {
  readonly entry: TensorEntry;
  /** First row of the rank's tensor that this fills, and how many. */
  readonly rowStart: number;
  readonly rows: number;
  /** Absolute byte offset of the first row in the file, bytes taken of each row, distance between rows. */
  readonly offset: number;
  readonly rowBytes: number;
  readonly strideBytes: number;
  /** Where in the rank's row these bytes go; 0 unless its columns come in groups. */
  readonly rowByte: number;
}

/** How one tensor of a rank's program is filled. */
export type Fill =
  /** Ranges of another format than the tensor's are converted row by row. */
  | { readonly kind: 'read'; readonly ranges: readonly ReadRange[]; readonly map?: (value: number) => number }
  | {
      readonly kind: 'constant';
      /** Read first, as a vector in float32, when the checkpoint has it: the argument of `values`. */
      readonly factors: readonly ReadRange[] | null;
      readonly values: (factors: Float32Array | null) => Float32Array;
    }
  | { readonly kind: 'zeros' };
