import type { NeuronConfig } from '@helexa/core';
import type { RequestedLimits } from './limits.js';

/** What the configuration asks of every model. */
export const requestedLimits = ({ engine }: NeuronConfig): RequestedLimits => ({
  maxRows: engine.max_rows,
  maxSequences: engine.max_sequences,
  maxContext: engine.max_context,
  pages: engine.kv_pages,
  maxImagePixels: engine.max_image_pixels,
});
