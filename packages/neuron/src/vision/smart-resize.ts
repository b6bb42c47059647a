import { CortexError } from '@helexa/core';

export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

export interface ResizeBounds {
  /** Both sides become multiples of it. */
  readonly factor: number;
  readonly minPixels: number;
  readonly maxPixels: number;
}

/** Longest side over shortest beyond which nothing sensible is left of an image. */
const maxAspect = 200;

/**
 * The size that an image is brought to: near its own, whole blocks on both sides, and within the bounds of its area as far
 * as blocks allow.
 */
export function smartResize({ height, width }: ImageSize, { factor, minPixels, maxPixels }: ResizeBounds): ImageSize {
  const aspect = Math.max(height, width) / Math.min(height, width);
  if (!(aspect <= maxAspect))
    throw new CortexError('image_invalid', {
      reason: `its sides are ${width} and ${height} pixels; the longer may be ${maxAspect} times the shorter`,
    });
  const rounded = {
    height: roundHalfToEven(height / factor) * factor,
    width: roundHalfToEven(width / factor) * factor,
  };
  const area = rounded.height * rounded.width;
  if (area > maxPixels) {
    const shrink = Math.sqrt((height * width) / maxPixels);
    const fit = (side: number): number => Math.max(factor, Math.floor(side / shrink / factor) * factor);
    return { height: fit(height), width: fit(width) };
  }
  if (area < minPixels) {
    const grow = Math.sqrt(minPixels / (height * width));
    const fit = (side: number): number => Math.ceil((side * grow) / factor) * factor;
    return { height: fit(height), width: fit(width) };
  }
  return rounded;
}

function roundHalfToEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}
