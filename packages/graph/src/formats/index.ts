import { blockOf, CortexError, rowBytes, type WeightFormat } from '@helexa/core';
import type { BlockCodec } from './codec.js';
import { bf16, f16 } from './floats.js';
import { q4_k, q5_k } from './k-affine.js';
import { q4_0 } from './q4-0.js';
import { q6_k } from './q6-k.js';
import { q8_0 } from './q8-0.js';

export { fromBfloat, fromHalf, toBfloat, toHalf } from './small-float.js';

const codecs: Readonly<Record<Exclude<WeightFormat, 'F32'>, BlockCodec>> = {
  F16: f16,
  BF16: bf16,
  Q8_0: q8_0,
  Q4_0: q4_0,
  Q4_K: q4_k,
  Q5_K: q5_k,
  Q6_K: q6_k,
};

/** Every format that a weight may be stored in. */
export const weightFormats: readonly WeightFormat[] = ['F32', ...(Object.keys(codecs) as (keyof typeof codecs)[])];

/** Decodes whole blocks of a format into `out` from element `start` on: one row, or rows that follow each other. */
export function decodeInto(format: WeightFormat, bytes: Uint8Array, out: Float32Array, start: number): void {
  const block = blockOf[format];
  const blocks = bytes.length / block.bytes;
  if (!Number.isInteger(blocks)) {
    throw new CortexError('weight_bytes', {
      format,
      reason: `${bytes.length} bytes; a multiple of ${block.bytes} is wanted`,
    });
  }
  if (format === 'F32') {
    // Little-endian, as every machine this runs on keeps its own.
    new Uint8Array(out.buffer, out.byteOffset + start * 4, bytes.length).set(bytes);
    return;
  }
  const { decode } = codecs[format];
  for (let b = 0; b < blocks; b++) decode(bytes, b * block.bytes, out, start + b * block.elements);
}

/** One row of `columns` weights as float32: every format is exact in it. */
export function decodeRow(format: WeightFormat, bytes: Uint8Array, columns: number): Float32Array {
  const want = rowBytes(format, columns);
  if (bytes.length !== want) {
    throw new CortexError('weight_bytes', {
      format,
      reason: `${bytes.length} bytes for a row of ${columns} columns; ${want} are wanted`,
    });
  }
  const out = new Float32Array(columns);
  decodeInto(format, bytes, out, 0);
  return out;
}

/** Whole blocks of one format as those of another: rows that follow each other may be converted at once. */
export function convertWeights(from: WeightFormat, to: WeightFormat, bytes: Uint8Array): Uint8Array {
  const values = new Float32Array((bytes.length / blockOf[from].bytes) * blockOf[from].elements);
  decodeInto(from, bytes, values, 0);
  return quantise(to, values);
}

/** Encodes whole blocks of finite weights; rows that follow each other may be encoded at once. */
export function quantise(format: WeightFormat, values: Float32Array): Uint8Array {
  const block = blockOf[format];
  const blocks = values.length / block.elements;
  if (!Number.isInteger(blocks)) {
    throw new CortexError('weight_bytes', {
      format,
      reason: `${values.length} values; a multiple of ${block.elements} is wanted`,
    });
  }
  // A block shares its scale: one infinity would spoil all its neighbours.
  if (block.elements > 1 && !values.every(Number.isFinite)) {
    throw new CortexError('weight_bytes', { format, reason: 'a value is not finite; finite values are wanted' });
  }
  if (format === 'F32') return new Uint8Array(values.slice().buffer);
  const bytes = new Uint8Array(blocks * block.bytes);
  const { encode } = codecs[format];
  for (let b = 0; b < blocks; b++) encode(values, b * block.elements, bytes, b * block.bytes);
  return bytes;
}
