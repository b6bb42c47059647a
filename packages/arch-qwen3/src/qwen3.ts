/**
 * Qwen3, dense: 0.6B to 32B and their 2507 releases. A decoder with a norm on every query and key head before the rotation.
 *
 * Reference: transformers, models/qwen3. Refused by name: other activations, dynamic rotary scaling, quantised safetensors.
 */
import { defineDecoder } from '@helexa/graph';
import { sizes } from './sizes.js';

/** Qwen3, dense. */
export const qwen3 = defineDecoder({
  name: 'qwen3',
  modelTypes: ['qwen3'],
  ggufArchitecture: 'qwen3',
  rules: { headDim: 128, window: 'upper' },
  table: { headNorms: true },
  sizes,
});
