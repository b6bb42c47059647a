import { CortexError } from '@helexa/core';
import type { VisionFacts } from '@helexa/graph';
import type { PreparedImage } from './prepare-image.js';

/** An image of a prompt: its feature rows stand in for the tokens `[start, start + image.features)`. */
export interface PromptImage {
  readonly start: number;
  readonly image: PreparedImage;
}

/** What a prompt with images has beyond its tokens. */
export interface VisualPrompt {
  readonly images: readonly PromptImage[];
  /** Positions of each token on the T, H and W axes. */
  readonly positions: readonly [t: Int32Array, h: Int32Array, w: Int32Array];
  /** What positions after the prompt lie beyond the number of tokens before them: zero or less. */
  readonly positionDelta: number;
}

/**
 * Repeats the placeholder of each image for its feature rows, and gives every token its position: text counts up on all
 * axes, an image takes as many steps as its longer side has blocks, and within it rows and columns count.
 */
export function expandPrompt(
  ids: readonly number[],
  images: readonly PreparedImage[],
  { imageToken, merge }: Pick<VisionFacts, 'imageToken' | 'merge'>,
): { readonly prompt: readonly number[]; readonly visual: VisualPrompt } {
  const placeholders = ids.filter((id) => id === imageToken).length;
  if (placeholders !== images.length)
    throw new CortexError('invalid_request_body', {
      param: 'messages',
      reason: `the prompt holds ${placeholders} places for images; the request has ${images.length} images`,
    });
  const prompt: number[] = [];
  const axes: readonly [number[], number[], number[]] = [[], [], []];
  const placed: PromptImage[] = [];
  const add = (id: number, ...place: readonly number[]): void => {
    prompt.push(id);
    for (const [axis, values] of axes.entries()) values.push(place[axis]!);
  };
  let position = 0;
  for (const id of ids) {
    if (id !== imageToken) {
      add(id, position, position, position);
      position += 1;
      continue;
    }
    const image = images[placed.length]!;
    const [height, width] = [image.grid.height / merge, image.grid.width / merge];
    placed.push({ start: prompt.length, image });
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) add(id, position, position + y, position + x);
    position += Math.max(height, width);
  }
  const [t, h, w] = axes;
  const positions = [Int32Array.from(t), Int32Array.from(h), Int32Array.from(w)] as const;
  return { prompt, visual: { images: placed, positions, positionDelta: position - prompt.length } };
}
