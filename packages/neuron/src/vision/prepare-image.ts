import { createHash } from 'node:crypto';
import { CortexError } from '@helexa/core';
import { decodeImage, readDataUri } from './decode-image.js';
import type { ImageParameters } from './image-parameters.js';
import { type PatchGrid, patchify } from './patchify.js';
import { type RgbImage, resample } from './resample.js';
import { smartResize } from './smart-resize.js';

/** An image as a vision tower takes it. */
export interface PreparedImage {
  readonly grid: PatchGrid;
  /** Values of each patch, in block order: made when asked for, from an eighth of the memory. */
  pixels(): Float32Array;
  /** Feature rows that it becomes. */
  readonly features: number;
  /** Below zero, and the same only for the same image: stands for its rows where prompts are compared. */
  readonly key: number;
}

/** Reads the image of a data URI; throws `image_invalid`. */
export async function prepareImage(url: string, parameters: ImageParameters): Promise<PreparedImage> {
  return prepareRgb(await decodeImage(readDataUri(url)), parameters);
}

/** Brings a decoded image to the size that the model takes and cuts it into patches. */
export async function prepareRgb(image: RgbImage, parameters: ImageParameters): Promise<PreparedImage> {
  const { facts, minPixels, maxPixels } = parameters;
  const factor = facts.patchSize * facts.merge;
  const size = smartResize(image, { factor, minPixels, maxPixels });
  if (size.height * size.width > maxPixels)
    throw new CortexError('image_invalid', {
      reason: `at ${image.width} by ${image.height} pixels it cannot be made smaller than ${maxPixels} pixels in all`,
    });
  const resized = await resample(image, size);
  const { patchSize, merge } = facts;
  return {
    grid: { height: size.height / patchSize, width: size.width / patchSize },
    pixels: () => patchify(resized, parameters).pixels,
    features: (size.height * size.width) / (patchSize * merge) ** 2,
    key: keyOf(resized),
  };
}

/** 52 bits of a hash: a number below zero that no token id is. */
function keyOf({ data, height, width }: RgbImage): number {
  const digest = createHash('sha256').update(`${height}x${width} `).update(data).digest();
  return -1 - digest.readUIntBE(0, 6) * 16 - (digest[6]! & 15);
}
