import type { BlockCodec } from './codec.js';
import { readHalf, writeHalf } from './floats.js';

const size = 32;

/** Q8_0: half d, then 32 signed bytes; value = q * d. */
export const q8_0: BlockCodec = {
  decode(bytes, at, out, start) {
    const d = readHalf(bytes, at);
    for (let i = 0; i < size; i++) out[start + i] = ((bytes[at + 2 + i]! << 24) >> 24) * d;
  },
  encode(values, start, bytes, at) {
    let peak = 0;
    for (let i = 0; i < size; i++) peak = Math.max(peak, Math.abs(values[start + i]!));
    // In float32 and with ties away from zero, as the format's own encoder does: files are byte-identical.
    const d = Math.fround(peak / 127);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    writeHalf(bytes, at, d);
    for (let i = 0; i < size; i++) {
      const scaled = Math.fround(values[start + i]! * inverse);
      bytes[at + 2 + i] = Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5);
    }
  },
};
