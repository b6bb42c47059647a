import type { PromptImage, VisualPrompt } from '../vision/visual-prompt.js';
import type { VisualRows } from './step-writer.js';

/** The images of one request: which of them are features already. Owner: the engine, for as long as the request runs. */
export class FlightImages implements VisualRows {
  readonly #visual: VisualPrompt;
  readonly #features = new Map<PromptImage, Float32Array>();

  constructor(visual: VisualPrompt) {
    this.#visual = visual;
  }

  /** The first image that a sequence needs, given how many of its tokens are in the cache, and has no features of. */
  missing(computed: number): PromptImage | null {
    return (
      this.#visual.images.find((each) => each.start + each.image.features > computed && !this.#features.has(each)) ??
      null
    );
  }

  put(image: PromptImage, features: Float32Array): void {
    this.#features.set(image, features);
  }

  /** Forgets features that every sequence of the request has in its cache. */
  release(computed: number): void {
    for (const each of this.#features.keys())
      if (each.start + each.image.features <= computed) this.#features.delete(each);
  }

  position(axis: number, token: number): number {
    return this.#visual.positions[axis]?.[token] ?? token + this.#visual.positionDelta;
  }

  feature(token: number): Float32Array | null {
    const found = this.#visual.images.find(({ start, image }) => token >= start && token < start + image.features);
    const rows = found && this.#features.get(found);
    if (!rows) return null;
    const width = rows.length / found.image.features;
    return rows.subarray((token - found.start) * width, (token - found.start + 1) * width);
  }
}

/** What stands for a prompt where prompts are compared: an image's own key in place of its placeholders. */
export function promptKeys(prompt: readonly number[], visual: VisualPrompt): number[] {
  const keys = [...prompt];
  for (const { start, image } of visual.images) keys.fill(image.key, start, start + image.features);
  return keys;
}
