import type { BlockCodec } from './codec.js';
import { readHalf, writeHalf } from './floats.js';

const half = 16;

/** Q4_0: half d, then 16 bytes; low nibbles are elements 0..15, high nibbles 16..31; value = (q - 8) * d. */
export const q4_0: BlockCodec = {
  decode(bytes, at, out, start) {
    const d = readHalf(bytes, at);
    for (let i = 0; i < half; i++) {
      const byte = bytes[at + 2 + i]!;
      out[start + i] = ((byte & 15) - 8) * d;
      out[start + half + i] = ((byte >> 4) - 8) * d;
    }
  },
  encode(values, start, bytes, at) {
    let extreme = 0;
    for (let i = 0; i < 2 * half; i++) {
      const value = values[start + i]!;
      if (Math.abs(value) > Math.abs(extreme)) extreme = value;
    }
    const d = Math.fround(extreme / -8);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    writeHalf(bytes, at, d);
    // In float32 throughout, as the format's own encoder does: files are byte-identical.
    const level = (index: number): number =>
      Math.min(15, Math.trunc(Math.fround(Math.fround(values[start + index]! * inverse) + 8.5)));
    for (let i = 0; i < half; i++) bytes[at + 2 + i] = level(i) | (level(half + i) << 4);
  },
};
