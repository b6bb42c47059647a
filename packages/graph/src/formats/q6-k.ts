import type { BlockCodec } from './codec.js';
import { readHalf, writeHalf } from './floats.js';
import { searchScale } from './scale-search.js';
import { roundHalfEven } from './small-float.js';

/**
 * Q6_K: 256 elements as 16 sub-blocks of 16, value = d * scale * (q - 32).
 *
 * Bytes: 128 of low nibbles, 64 of high bit pairs, 16 signed scales, half d. Each half of 128 elements has four quarters
 * of 32: element l of quarter t keeps its nibble in byte 32 (t & 1) + l (low half of the byte for t < 2), its bit pair at
 * shift 2t of byte l.
 */
const pairsAt = 128;
const scalesAt = 192;
const dAt = 208;
const size = 16;

/** Where element e of a block lies: byte and shift of its nibble and of its bit pair. */
function place(e: number): { nibble: number; nibbleShift: number; pair: number; pairShift: number } {
  const half = e >> 7;
  const quarter = (e >> 5) & 3;
  const l = e & 31;
  return {
    nibble: 64 * half + 32 * (quarter & 1) + l,
    nibbleShift: 4 * (quarter >> 1),
    pair: pairsAt + 32 * half + l,
    pairShift: 2 * quarter,
  };
}

export const q6_k: BlockCodec = {
  decode(bytes, at, out, start) {
    const d = readHalf(bytes, at + dAt);
    for (let e = 0; e < 256; e++) {
      const p = place(e);
      const q = ((bytes[at + p.nibble]! >> p.nibbleShift) & 15) | (((bytes[at + p.pair]! >> p.pairShift) & 3) << 4);
      const scale = (bytes[at + scalesAt + (e >> 4)]! << 24) >> 24;
      out[start + e] = d * scale * (q - 32);
    }
  },
  encode(values, start, bytes, at) {
    const found = Array.from({ length: 16 }, (_, s) => searchScale(values, start + size * s, size, 32));
    const extreme = found.reduce((best, scale) => (Math.abs(scale) > Math.abs(best) ? scale : best), 0);
    if (extreme === 0) return;
    const d = writeHalf(bytes, at + dAt, -extreme / 128);
    for (const [s, f] of found.entries()) {
      const scale = Math.min(127, roundHalfEven((-128 * f) / extreme));
      bytes[at + scalesAt + s] = scale;
      const unit = d * scale;
      for (let i = 0; i < size; i++) {
        const e = size * s + i;
        const raw = unit === 0 ? 0 : roundHalfEven(values[start + e]! / unit);
        const q = Math.min(31, Math.max(-32, raw)) + 32;
        const p = place(e);
        bytes[at + p.nibble]! |= (q & 15) << p.nibbleShift;
        bytes[at + p.pair]! |= (q >> 4) << p.pairShift;
      }
    }
  },
};
