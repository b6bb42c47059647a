import type { BlockCodec } from './codec.js';
import { readHalf, writeHalf } from './floats.js';
import { type AffineSearch, searchScaleAndMinimum } from './scale-search.js';
import { roundHalfEven } from './small-float.js';

/**
 * Q4_K and Q5_K: 256 elements as 8 sub-blocks of 32, value = d * scale * q - dmin * minimum.
 *
 * Bytes: half d, half dmin, 12 of packed 6-bit scales and minima, in Q5_K 32 of fifth bits, then 128 of nibbles. Pair p
 * of sub-blocks shares nibble bytes 32p..32p+31: low nibbles are sub-block 2p, high ones 2p + 1. Bit s of fifth-bit byte
 * l belongs to element l of sub-block s.
 */
const subBlocks = 8;
const size = 32;
const scalesAt = 4;

/** Scale and minimum of sub-block j out of the twelve packed bytes at `at`. */
export function readPacked(bytes: Uint8Array, at: number, j: number): { scale: number; minimum: number } {
  if (j < 4) return { scale: bytes[at + j]! & 63, minimum: bytes[at + j + 4]! & 63 };
  const low = bytes[at + j + 4]!;
  return {
    scale: (low & 15) | ((bytes[at + j - 4]! >> 6) << 4),
    minimum: (low >> 4) | ((bytes[at + j]! >> 6) << 4),
  };
}

function writePacked(bytes: Uint8Array, at: number, j: number, scale: number, minimum: number): void {
  if (j < 4) {
    bytes[at + j]! |= scale;
    bytes[at + j + 4]! |= minimum;
    return;
  }
  bytes[at + j + 4] = (scale & 15) | ((minimum & 15) << 4);
  bytes[at + j - 4]! |= (scale >> 4) << 6;
  bytes[at + j]! |= (minimum >> 4) << 6;
}

function affineCodec(fifthBit: boolean, search: AffineSearch): BlockCodec {
  const bitsAt = scalesAt + 12;
  const nibblesAt = bitsAt + (fifthBit ? 32 : 0);
  return {
    decode(bytes, at, out, start) {
      const d = readHalf(bytes, at);
      const dmin = readHalf(bytes, at + 2);
      for (let s = 0; s < subBlocks; s++) {
        const { scale, minimum } = readPacked(bytes, at + scalesAt, s);
        const nibbles = at + nibblesAt + size * (s >> 1);
        const shift = 4 * (s & 1);
        for (let l = 0; l < size; l++) {
          const high = fifthBit ? ((bytes[at + bitsAt + l]! >> s) & 1) << 4 : 0;
          const q = ((bytes[nibbles + l]! >> shift) & 15) | high;
          // Both products are exact; only the difference rounds, on the store.
          out[start + size * s + l] = d * scale * q - dmin * minimum;
        }
      }
    },
    encode(values, start, bytes, at) {
      const found = Array.from({ length: subBlocks }, (_, s) =>
        searchScaleAndMinimum(values, start + size * s, size, search),
      );
      const maxScale = Math.max(...found.map((f) => f.scale));
      const maxMinimum = Math.max(...found.map((f) => f.minimum));
      const d = writeHalf(bytes, at, maxScale / 63);
      const dmin = writeHalf(bytes, at + 2, maxMinimum / 63);
      const sixBits = (value: number, max: number): number =>
        max > 0 ? Math.min(63, Math.max(0, roundHalfEven((63 / max) * value))) : 0;
      for (const [s, f] of found.entries()) {
        const scale = sixBits(f.scale, maxScale);
        const minimum = sixBits(f.minimum, maxMinimum);
        writePacked(bytes, at + scalesAt, s, scale, minimum);
        const unit = d * scale;
        for (let l = 0; l < size; l++) {
          const raw = unit === 0 ? 0 : roundHalfEven((values[start + size * s + l]! + dmin * minimum) / unit);
          const q = Math.min(search.levels, Math.max(0, raw));
          bytes[at + nibblesAt + size * (s >> 1) + l]! |= (q & 15) << (4 * (s & 1));
          if (fifthBit) bytes[at + bitsAt + l]! |= (q >> 4) << s;
        }
      }
    },
  };
}

export const q4_k: BlockCodec = affineCodec(false, { levels: 15, first: -1, step: 0.1, tries: 20 });
export const q5_k: BlockCodec = affineCodec(true, { levels: 31, first: -0.5, step: 0.1, tries: 15 });
