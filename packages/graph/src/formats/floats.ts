import type { BlockCodec } from './codec.js';
import { fromBfloat, fromHalf, toBfloat, toHalf } from './small-float.js';

export const f16: BlockCodec = {
  decode(bytes, at, out, start) {
    out[start] = fromHalf(readWord(bytes, at));
  },
  encode(values, start, bytes, at) {
    writeWord(bytes, at, toHalf(values[start]!));
  },
};

export const bf16: BlockCodec = {
  decode(bytes, at, out, start) {
    out[start] = fromBfloat(readWord(bytes, at));
  },
  encode(values, start, bytes, at) {
    writeWord(bytes, at, toBfloat(values[start]!));
  },
};

/** The half float that a block keeps at a byte offset. */
export const readHalf = (bytes: Uint8Array, at: number): number => fromHalf(readWord(bytes, at));

/** Stores a value as a half float and answers what was kept. */
export function writeHalf(bytes: Uint8Array, at: number, value: number): number {
  const bits = toHalf(value);
  writeWord(bytes, at, bits);
  return fromHalf(bits);
}

const readWord = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word & 255;
  bytes[at + 1] = word >> 8;
}
