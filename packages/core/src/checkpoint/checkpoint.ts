/**
 * A checkpoint as its headers describe it: no tensor data is read here.
 *
 * `safetensors.ts` and `gguf.ts` parse one file's header each; `openCheckpoint` (its own file) joins the files of a folder.
 */

/** How the numbers of a tensor are stored on disk. Block formats keep GGUF's byte layout. */
export type WeightFormat = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0' | 'Q4_K' | 'Q5_K' | 'Q6_K';

/** Elements and bytes of one indivisible block along a row. Source: GGUF block formats. */
export const blockOf: Readonly<Record<WeightFormat, { readonly elements: number; readonly bytes: number }>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q8_0: { elements: 32, bytes: 34 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
};

/** Bytes of one row of `columns` elements; `columns` must be whole blocks. */
export const rowBytes = (format: WeightFormat, columns: number): number =>
  (columns / blockOf[format].elements) * blockOf[format].bytes;

/** One tensor of a checkpoint: where its bytes lie. */
export interface TensorEntry {
  /** Name as the file spells it. */
  readonly name: string;
  /** Format as the file spells it (`BF16`, `Q4_K`, but also ones we do not run, such as `Q3_K` or `F8_E4M3`). */
  readonly format: string;
  /** Row-major, slowest first: `[out, in]` for a linear weight, whatever the file's own order is. */
  readonly shape: readonly number[];
  /** Absolute path of the file that holds it. */
  readonly file: string;
  /** Byte range in that file, end exclusive. */
  readonly begin: number;
  readonly end: number;
}

/** GGUF metadata as plain values; 64-bit integers that fit are numbers, else bigint. */
export type GgufValue = string | number | bigint | boolean | readonly GgufValue[];
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** All headers of one model. */
export interface Checkpoint {
  readonly kind: 'safetensors' | 'gguf';
  /** Folder (safetensors) or first file (gguf). */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Companion of a GGUF file that was found beside it: its tensors are among `tensors`, its `clip.*` keys in `metadata`. */
  readonly companion?: string;
  /** Parsed `config.json`, unvalidated; null for a GGUF file. */
  readonly config: unknown;
  /** Metadata of a GGUF file; an empty map otherwise. */
  readonly metadata: GgufMetadata;
}
