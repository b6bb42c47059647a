import type { WeightFormat } from '@helexa/core';

/**
 * The kernel program: what every backend runs. A flat list of fixed-size instructions over one activation arena per rank,
 * a tensor list, the key/value cache and the step buffers (`step.ts`). Built once per model; the same for every step shape.
 *
 * Instruction: 32 little-endian int32 words.
 *
 *   0        opcode
 *   1        row symbol: 0 rows, 1 sampled, 2 patches, 3 features
 *   2        n: width of the first output (of the first input when there is none)
 *   3        k: width of the first input (0 when there is none)
 *   4..11    four inputs, each (offset, stride); offset -1 = absent
 *   12..17   three outputs, likewise
 *   18..22   five weight words: index into `tensors`, -1 = absent. A `...` role takes words 18..21 from its first on,
 *            a role after it takes word 22
 *   23..30   eight parameters
 *   31       1 when a barrier must come before this instruction: it touches what an earlier one since the last barrier
 *            wrote, or writes what one read
 *
 * Offsets and strides count float32 elements (4 bytes) from the start of the arena; a row of an operand starts at
 * `offset + row * stride`. A `quantised` operand is a backend's own int8 form of a row: its stride is
 * `quantisedRowBytes(width) / 4`. Every region starts at a multiple of 16 elements (64 bytes).
 */
export const instructionWords = 32;

export const word = {
  opcode: 0,
  rows: 1,
  n: 2,
  k: 3,
  inputs: 4,
  outputs: 12,
  weights: 18,
  bias: 22,
  params: 23,
  barrier: 31,
} as const;

/** A packed matrix or vector that one rank holds. */
export interface TensorSpec {
  /** Slot and segment, such as `layers.0.qkv.q`. */
  readonly name: string;
  /** Vectors and constants are always F32. */
  readonly format: WeightFormat;
  /** Output features, or the length of a vector. */
  readonly rows: number;
  /** Input features; 1 for a vector. */
  readonly cols: number;
  /** True when the rows are also looked up one by one (an embedding table). */
  readonly lookup: boolean;
}

/** Cache of one attention layer on one rank. Page = 64 tokens. */
export interface KvLayer {
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Recurrent state of one linear-attention layer on one rank, in float32 elements per sequence. */
export interface StateLayer {
  readonly convElements: number;
  readonly deltaElements: number;
}

export interface Program {
  readonly rank: number;
  readonly ranks: number;
  /** `instructionWords` words each. */
  readonly words: Int32Array;
  readonly tensors: readonly TensorSpec[];
  /** Size of the activation arena in float32 elements. */
  readonly arenaElements: number;
  readonly kv: readonly KvLayer[];
  readonly state: readonly StateLayer[];
  readonly vocab: number;
  /** Stable text form: one line per instruction, for tests and diffs. */
  readonly text: string;
}

export const pageTokens = 64;
