/**
 * The 16-bit float formats, by bit pattern. Rounding is to nearest, ties to even, of the value taken as float32;
 * overflow becomes infinity and a NaN stays a NaN.
 */

interface SmallFloat {
  readonly exponentBits: number;
  readonly fractionBits: number;
}

const half: SmallFloat = { exponentBits: 5, fractionBits: 10 };
const bfloat: SmallFloat = { exponentBits: 8, fractionBits: 7 };

function fromBits(bits: number, { exponentBits, fractionBits }: SmallFloat): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponentMask = 2 ** exponentBits - 1;
  const exponent = (bits >> fractionBits) & exponentMask;
  const fraction = bits & (2 ** fractionBits - 1);
  const bias = exponentMask >> 1;
  if (exponent === exponentMask) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (2 ** fractionBits + fraction) * 2 ** (exponent - bias - fractionBits);
}

function toBits(value: number, { exponentBits, fractionBits }: SmallFloat): number {
  const single = Math.fround(value);
  const exponentMask = 2 ** exponentBits - 1;
  const bias = exponentMask >> 1;
  const infinity = exponentMask << fractionBits;
  if (Number.isNaN(single)) return infinity | (1 << (fractionBits - 1));
  const sign = single < 0 || Object.is(single, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(single);
  if (magnitude >= 2 ** (bias + 1)) return sign | infinity;
  const exponent = magnitude < 2 ** (1 - bias) ? 1 - bias : Math.floor(Math.log2(magnitude));
  // Units of the last place are powers of two, so the division is exact.
  const units = roundHalfEven(magnitude / 2 ** (exponent - fractionBits));
  // The leading one adds one to the exponent field, and so does a carry out of the fraction.
  return sign | (((exponent + bias - 1) << fractionBits) + units);
}

/** Value of an IEEE half float. */
export const fromHalf = (bits: number): number => fromBits(bits, half);

/** Bit pattern of the IEEE half float nearest to a value. */
export const toHalf = (value: number): number => toBits(value, half);

/** Value of a bfloat16. */
export const fromBfloat = (bits: number): number => fromBits(bits, bfloat);

/** Bit pattern of the bfloat16 nearest to a value. */
export const toBfloat = (value: number): number => toBits(value, bfloat);

/** Added to a number below 2^51 in magnitude, it leaves no room for a fraction: the sum is rounded to an integer. */
const noFraction = 1.5 * 2 ** 52;

/** Nearest integer of a number below 2^51 in magnitude, ties to even. */
export const roundHalfEven = (value: number): number => value + noFraction - noFraction;
