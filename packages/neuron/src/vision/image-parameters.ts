import { type Checkpoint, CortexError } from '@helexa/core';
import type { VisionFacts } from '@helexa/graph';
import { z } from 'zod';
import { ModelFiles } from '../text/model-files.js';

/** How images become patches for one model. */
export interface ImageParameters {
  readonly facts: VisionFacts;
  readonly minPixels: number;
  readonly maxPixels: number;
  /** Of each channel, of values between 0 and 1. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  readonly rescale: number;
}

const fileName = 'preprocessor_config.json';
const perChannel = z.array(z.number()).length(3);
const bicubic = 3;

const schema = z.object({
  size: z
    .object({ shortest_edge: z.int().positive(), longest_edge: z.int().positive() })
    .default({ shortest_edge: 65_536, longest_edge: 16_777_216 }),
  image_mean: perChannel.default([0.5, 0.5, 0.5]),
  image_std: perChannel.default([0.5, 0.5, 0.5]),
  rescale_factor: z
    .number()
    .positive()
    .default(1 / 255),
  resample: z.literal(bicubic).default(bicubic),
  do_convert_rgb: z.literal(true).default(true),
  do_normalize: z.literal(true).default(true),
  do_rescale: z.literal(true).default(true),
  do_resize: z.literal(true).default(true),
});

/** What the companion of a GGUF file says; the rest is what the family was trained with. */
function fromCompanion({ metadata }: Checkpoint): object {
  const [image_mean, image_std] = [metadata.get('clip.vision.image_mean'), metadata.get('clip.vision.image_std')];
  return { ...(image_mean ? { image_mean } : {}), ...(image_std ? { image_std } : {}) };
}

/** Reads what lies beside the weights, or in a companion file; `maxPixels` bounds what it allows. */
export function readImageParameters(checkpoint: Checkpoint, facts: VisionFacts, maxPixels: number): ImageParameters {
  const files = ModelFiles.of(checkpoint);
  const parsed = schema.safeParse(files.json(fileName) ?? fromCompanion(checkpoint));
  if (!parsed.success)
    throw new CortexError('model_config_invalid', {
      file: files.path(fileName),
      reason: z.prettifyError(parsed.error),
    });
  const { size, image_mean: mean, image_std: deviation, rescale_factor: rescale } = parsed.data;
  return {
    facts,
    minPixels: Math.min(size.shortest_edge, maxPixels),
    maxPixels: Math.min(size.longest_edge, maxPixels),
    mean,
    deviation,
    rescale,
  };
}
