import { roundHalfEven } from './small-float.js';

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/**
 * The scale s for which levels l in [-levels, levels - 1] make s * l closest to `values`, each weighted by its square:
 * the levels of 19 scales around the one that maps the extreme to -levels are tried. 0 when all values are.
 */
export function searchScale(values: Float32Array, start: number, count: number, levels: number): number {
  let extreme = 0;
  for (let i = 0; i < count; i++) if (Math.abs(values[start + i]!) > Math.abs(extreme)) extreme = values[start + i]!;
  if (Math.abs(extreme) < 1e-15) return 0;
  let best = 0;
  let bestScore = 0;
  // The plain scale first: of equal scores the first is kept.
  for (const shift of [0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    const inverse = -(levels + 0.1 * shift) / extreme;
    let sumXl = 0;
    let sumL2 = 0;
    for (let i = 0; i < count; i++) {
      const x = values[start + i]!;
      const level = clamp(roundHalfEven(inverse * x), -levels, levels - 1);
      sumXl += x * x * x * level;
      sumL2 += x * x * level * level;
    }
    if (sumL2 > 0 && sumXl * sumXl > bestScore * sumL2) {
      bestScore = (sumXl * sumXl) / sumL2;
      best = sumXl / sumL2;
    }
  }
  return best;
}

/** Numbers of an asymmetric search: levels 0..levels, and how far and how finely scales around the plain one are tried. */
export interface AffineSearch {
  readonly levels: number;
  readonly first: number;
  readonly step: number;
  readonly tries: number;
}

/**
 * The scale and minimum (as its magnitude: values = scale * level - minimum) with the least squared error, weighted by
 * magnitude; each try's levels are fitted by least squares, with the minimum kept from being positive.
 */
export function searchScaleAndMinimum(
  values: Float32Array,
  start: number,
  count: number,
  { levels, first, step, tries }: AffineSearch,
): { scale: number; minimum: number } {
  let low = 0;
  let high = values[start]!;
  let squares = 0;
  for (let i = 0; i < count; i++) {
    const x = values[start + i]!;
    low = Math.min(low, x);
    high = Math.max(high, x);
    squares += x * x;
  }
  if (high === low) return { scale: 0, minimum: -low };
  const floor = Math.sqrt(squares / count);
  const weights = Float64Array.from({ length: count }, (_, i) => floor + Math.abs(values[start + i]!));
  const error = (inverse: number, scale: number, bottom: number): number => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const x = values[start + i]!;
      const difference = scale * clamp(roundHalfEven(inverse * (x - low)), 0, levels) + bottom - x;
      sum += weights[i]! * difference * difference;
    }
    return sum;
  };
  let best = { scale: (high - low) / levels, minimum: -low };
  let bestError = error(levels / (high - low), best.scale, low);
  for (let t = 0; t <= tries; t++) {
    const inverse = (first + step * t + levels) / (high - low);
    let sumW = 0;
    let sumX = 0;
    let sumL = 0;
    let sumL2 = 0;
    let sumXl = 0;
    for (let i = 0; i < count; i++) {
      const x = values[start + i]!;
      const w = weights[i]!;
      const level = clamp(roundHalfEven(inverse * (x - low)), 0, levels);
      sumW += w;
      sumX += w * x;
      sumL += w * level;
      sumL2 += w * level * level;
      sumXl += w * x * level;
    }
    const determinant = sumW * sumL2 - sumL * sumL;
    if (determinant <= 0) continue;
    let scale = (sumW * sumXl - sumX * sumL) / determinant;
    let bottom = (sumL2 * sumX - sumL * sumXl) / determinant;
    if (bottom > 0) {
      bottom = 0;
      scale = sumXl / sumL2;
    }
    const tried = error(inverse, scale, bottom);
    if (tried < bestError) {
      bestError = tried;
      best = { scale, minimum: -bottom };
    }
  }
  return best;
}
