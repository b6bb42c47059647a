/**
 * The llama family: Llama 2, 3, 3.1, 3.2 and what shares their `model_type`. Dense, full rotary embedding, SwiGLU.
 *
 * Reference: transformers, models/llama. Refused by name: other activations, dynamic rotary scaling, partial rotation,
 * quantised safetensors.
 */
import { defineDecoder } from '@helexa/graph';
import { sizes } from './sizes.js';

/** Llama. */
export const llama = defineDecoder({
  name: 'llama',
  modelTypes: ['llama'],
  ggufArchitecture: 'llama',
  rules: { window: 'none' },
  table: { pairedInGguf: true },
  // A GGUF file does not say whether its feed-forward networks have biases: those that it holds are used.
  ggufDefaults: { mlp_bias: null },
  sizes,
});
