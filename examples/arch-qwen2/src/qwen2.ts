/**
 * Qwen2 and Qwen2.5: 0.5B to 72B, Coder and Math. A decoder whose queries, keys and values have biases.
 *
 * Reference: transformers, models/qwen2. Refused by name: other activations, dynamic rotary scaling, quantised safetensors.
 */
import {
  contractVersion,
  type DecoderConfig,
  decoderFacts,
  decoderForward,
  decoderTable,
  defineArchitecture,
  gatedMlpRows,
  ggufDecoder,
  parseDecoder,
} from '@helexa/graph';
import { sizes } from './sizes.js';

/** Qwen2. */
export const qwen2 = defineArchitecture<DecoderConfig>({
  name: 'qwen2',
  contractVersion,
  modelTypes: ['qwen2'],
  ggufArchitectures: ['qwen2'],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig: (json, file) => parseDecoder(json, file, { window: 'upper' }),
  ggufConfig: (metadata) => ggufDecoder(metadata, 'qwen2'),
  facts: decoderFacts,
  weights: (config) => decoderTable(config, gatedMlpRows(config), { inputBiases: true }),
  forward: decoderForward,
  sizes,
});
