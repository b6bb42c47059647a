import type { Segment, Source, WeightRow } from './weights.js';

/** Where a segment is read from, in both kinds of file; `gguf` says what that format stores differently. */
export const named = (
  safetensors: string,
  gguf: string,
  differs: Omit<Source, 'tensor'> = {},
): Pick<Segment, 'safetensors' | 'gguf'> => ({
  safetensors: [{ tensor: safetensors }],
  gguf: [{ tensor: gguf, ...differs }],
});

type Rest = Omit<Partial<WeightRow>, 'slot' | 'segments' | 'cols'>;

/** A vector read from one tensor: a norm, a bias. */
export const vectorRow = (
  slot: string,
  rows: number,
  sources: Pick<Segment, 'safetensors' | 'gguf'>,
  rest: Rest = {},
): WeightRow => ({ cut: null, ...rest, slot, cols: null, segments: [{ name: slot, rows, ...sources }] });

/** A matrix read from one tensor. */
export const matrixRow = (
  slot: string,
  [rows, cols]: readonly [rows: number, cols: number],
  sources: Pick<Segment, 'safetensors' | 'gguf'>,
  rest: Rest = {},
): WeightRow => ({ cut: null, ...rest, slot, cols, segments: [{ name: slot, rows, ...sources }] });

/** Several tensors of the same input as one: their rows follow one another. */
export const fusedRow = (
  slot: string,
  cols: number | null,
  segments: readonly Segment[],
  rest: Rest = {},
): WeightRow => ({ cut: null, ...rest, slot, cols, segments });
