import { blockOf, type WeightFormat } from '@helexa/core';
import { toBfloat, toHalf } from '@helexa/graph';
import type { RandomWords } from './random-words.js';

/** Values of one tensor: spread evenly over `center` plus or minus `reach`. */
export interface Spread {
  readonly center: number;
  readonly reach: number;
}

/** Fills `bytes` (whole blocks) with random weights of a format; block formats get random levels under sane scales. */
export type BlockFiller = (bytes: Uint8Array) => void;

/** Makes the filler of one tensor. */
export function blockFiller(format: WeightFormat, spread: Spread, random: RandomWords): BlockFiller {
  if (blockOf[format].elements === 1) return scalarFiller(format, spread, random);
  const { bytes: size } = blockOf[format];
  const header = headers[format]!(spread.reach);
  return (bytes) => {
    random.fill(new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2));
    for (let at = bytes.length & ~3; at < bytes.length; at++) bytes[at] = random.next();
    const picks = new Uint32Array(bytes.length / size);
    random.fill(picks);
    for (let block = 0; block < picks.length; block++) header(bytes, block * size, picks[block]!);
  };
}

/** Every 16-bit number stands for one value: a table turns random bits into floats at once. */
function scalarFiller(format: WeightFormat, { center, reach }: Spread, random: RandomWords): BlockFiller {
  const spreadValue = (index: number) => center + reach * ((index + 0.5) / 32768 - 1);
  if (format === 'F32') {
    const table = Float32Array.from({ length: 65536 }, (_, index) => spreadValue(index));
    return (bytes) => {
      const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
      random.fill(new Uint32Array(bytes.buffer, bytes.byteOffset, values.length));
      const bits = new Uint32Array(bytes.buffer, bytes.byteOffset, values.length);
      for (let i = 0; i < values.length; i++) values[i] = table[bits[i]! & 0xffff]!;
    };
  }
  const encode = format === 'BF16' ? toBfloat : toHalf;
  const table = Uint16Array.from({ length: 65536 }, (_, index) => encode(spreadValue(index)));
  return (bytes) => {
    const values = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
    random.fill(new Uint32Array(bytes.buffer, bytes.byteOffset, values.length >> 1));
    for (let i = values.length & ~1; i < values.length; i++) values[i] = random.next();
    for (let i = 0; i < values.length; i++) values[i] = table[values[i]!]!;
  };
}

/** Writes the scales of the block at `block`; `pick` is 32 random bits. */
type Header = (bytes: Uint8Array, block: number, pick: number) => void;

/** Block scales vary by a factor of two, as those of trained weights do within a row. */
const scalesOf = (largest: number): Uint16Array =>
  Uint16Array.from({ length: 64 }, (_, index) => toHalf((largest * (64 + index)) / 128));

function putHalf(bytes: Uint8Array, at: number, half: number): void {
  bytes[at] = half & 0xff;
  bytes[at + 1] = half >> 8;
}

const simple =
  (levels: number) =>
  (reach: number): Header => {
    const scales = scalesOf(reach / levels);
    return (bytes, block, pick) => putHalf(bytes, block, scales[pick & 63]!);
  };

/**
 * Q4_K and Q5_K: a value is `d * scale * q - dmin * min`. With min = scale and dmin = d * (middle level) it is centred.
 */
const affine =
  (levels: number) =>
  (reach: number): Header => {
    const middle = (levels - 1) / 2;
    const d = scalesOf(reach / (48 * middle));
    const dmin = Uint16Array.from(d, (_, index) => toHalf(((reach / 48) * (64 + index)) / 128));
    return (bytes, block, pick) => {
      putHalf(bytes, block, d[pick & 63]!);
      putHalf(bytes, block + 2, dmin[pick & 63]!);
      // Eight 6-bit scales and as many equal mins, 32 to 63, packed in 12 bytes.
      for (let j = 0; j < 4; j++) {
        const low = 32 + ((pick >>> (6 + 3 * j)) & 31);
        const high = 32 + ((pick >>> (8 + 3 * j)) & 31);
        bytes[block + 4 + j] = low | ((high >> 4) << 6);
        bytes[block + 8 + j] = low | ((high >> 4) << 6);
        bytes[block + 12 + j] = (high & 15) | ((high & 15) << 4);
      }
    };
  };

/** Q6_K: `d * scale * (q - 32)`, sixteen int8 scales after 192 bytes of levels. */
const sixBit = (reach: number): Header => {
  const d = scalesOf(reach / (48 * 32));
  return (bytes, block, pick) => {
    for (let j = 0; j < 16; j++) bytes[block + 192 + j] = 32 + ((pick >>> j) & 31);
    putHalf(bytes, block + 208, d[pick & 63]!);
  };
};

const headers: Readonly<Partial<Record<WeightFormat, (reach: number) => Header>>> = {
  Q4_0: simple(8),
  Q8_0: simple(128),
  Q4_K: affine(16),
  Q5_K: affine(32),
  Q6_K: sixBit,
};
