/**
 * Qwen2 and Qwen2.5: 0.5B to 72B, Coder and Math. A decoder whose queries, keys and values have biases.
 *
 * Reference: transformers, models/qwen2. Refused by name: other activations, dynamic rotary scaling, quantised safetensors.
 */
import { defineDecoder } from '@helexa/graph';
import { sizes } from './sizes.js';

/** Qwen2. */
export const qwen2 = defineDecoder({
  name: 'qwen2',
  modelTypes: ['qwen2'],
  ggufArchitecture: 'qwen2',
  rules: { window: 'upper' },
  table: { inputBiases: true },
  sizes,
});
