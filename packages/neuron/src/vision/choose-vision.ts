import type { Checkpoint } from '@helexa/core';
import { type Architecture, type Backend, listCheckpointTensors, visionOps } from '@helexa/graph';
import { type ImageParameters, readImageParameters } from './image-parameters.js';

/** Whether a model is loaded with its vision tower; a sentence when it has one that is left out. */
export interface VisionChoice {
  readonly images: ImageParameters | null;
  readonly notes: readonly string[];
}

/** Area of an image in pixels, beyond which it is made smaller. */
export const defaultMaxImagePixels = 2 ** 20;

/** A tower is used when the checkpoint has it, the backend can run it and images were not switched off. */
export function chooseVision(
  {
    architecture,
    config,
    checkpoint,
    backend,
  }: {
    readonly architecture: Architecture;
    readonly config: unknown;
    readonly checkpoint: Checkpoint;
    readonly backend: Pick<Backend, 'name' | 'ops'>;
  },
  maxImagePixels = defaultMaxImagePixels,
): VisionChoice {
  const tower = architecture.vision?.(config);
  const leftOut = (reason: string): VisionChoice => ({ images: null, notes: [`Images are not served: ${reason}`] });
  if (maxImagePixels === 0) return { images: null, notes: [] };
  if (!tower && architecture.capabilities.vision && checkpoint.kind === 'gguf')
    return leftOut(
      checkpoint.companion === undefined
        ? "no vision tower (a file named 'mmproj…gguf') lies beside the model"
        : `'${checkpoint.companion}' is not the tower of this model`,
    );
  if (!tower) return { images: null, notes: [] };
  const block = (tower.facts.patchSize * tower.facts.merge) ** 2;
  if (maxImagePixels < block) return leftOut(`${maxImagePixels} pixels are less than one block of ${block}`);
  const names = listCheckpointTensors(tower.weights, checkpoint.kind).map(({ name }) => name);
  if (!names.some((name) => checkpoint.tensors.has(name))) return leftOut('the checkpoint has no vision tower');
  const missing = visionOps.find((op) => !backend.ops.has(op));
  if (missing) return leftOut(`backend '${backend.name}' lacks '${missing}'`);
  return { images: readImageParameters(checkpoint, tower.facts, maxImagePixels), notes: [] };
}
