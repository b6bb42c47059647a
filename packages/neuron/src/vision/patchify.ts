import type { ImageParameters } from './image-parameters.js';
import type { RgbImage } from './resample.js';

/** Patches of an image by rows and columns. */
export interface PatchGrid {
  readonly height: number;
  readonly width: number;
}

/** Places of a grid in the order that patches stand in: block by block, row by row within a block. */
export function* blockOrder({ height, width }: PatchGrid, merge: number): Generator<readonly [y: number, x: number]> {
  for (let blockY = 0; blockY < height; blockY += merge)
    for (let blockX = 0; blockX < width; blockX += merge)
      for (let y = blockY; y < blockY + merge; y++) for (let x = blockX; x < blockX + merge; x++) yield [y, x];
}

/**
 * Normalised values of an image whose sides are whole blocks, patch by patch in block order. A patch is [channel, frame, y,
 * x]; a still image has the same values in every frame.
 */
export function patchify(
  image: RgbImage,
  parameters: Pick<ImageParameters, 'facts' | 'mean' | 'deviation' | 'rescale'>,
): { readonly grid: PatchGrid; readonly pixels: Float32Array } {
  const { facts, mean, deviation, rescale } = parameters;
  const { patchSize, temporalPatchSize: frames, channels, merge } = facts;
  const grid = { height: image.height / patchSize, width: image.width / patchSize };
  const values = Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length: 256 }, (_, byte) => (byte * rescale - mean[channel]!) / deviation[channel]!),
  );
  const frame = patchSize * patchSize;
  const pixels = new Float32Array(grid.height * grid.width * channels * frames * frame);
  let at = 0;
  for (const [patchY, patchX] of blockOrder(grid, merge))
    for (let channel = 0; channel < channels; channel++) {
      const first = at;
      const value = values[channel]!;
      for (let y = 0; y < patchSize; y++) {
        let from = ((patchY * patchSize + y) * image.width + patchX * patchSize) * channels + channel;
        for (let x = 0; x < patchSize; x++, from += channels) pixels[at++] = value[image.data[from]!]!;
      }
      for (let copy = 1; copy < frames; copy++, at += frame) pixels.copyWithin(at, first, first + frame);
    }
  return { grid, pixels };
}
