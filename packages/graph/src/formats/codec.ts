/** Converts one block of a weight format. Blocks of a row, and rows of a tensor, follow each other without gaps. */
export interface BlockCodec {
  /** Reads the block at byte `at` into the elements from `start` on. */
  decode(bytes: Uint8Array, at: number, out: Float32Array, start: number): void;
  /** Writes the block at byte `at`, which is all zeros before, from the elements from `start` on. */
  encode(values: Float32Array, start: number, bytes: Uint8Array, at: number): void;
}
