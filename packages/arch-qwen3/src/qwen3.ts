/**
 * Qwen3, dense: 0.6B to 32B and their 2507 releases. A decoder with a norm on every query and key head before the rotation.
 *
 * Reference: transformers, models/qwen3. Refused by name: other activations, dynamic rotary scaling, quantised safetensors.
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

/** Qwen3, dense. */
export const qwen3 = defineArchitecture<DecoderConfig>({
  name: 'qwen3',
  contractVersion,
  modelTypes: ['qwen3'],
  ggufArchitectures: ['qwen3'],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig: (json, file) => parseDecoder(json, file, { headDim: 128, window: 'upper' }),
  ggufConfig: (metadata) => ggufDecoder(metadata, 'qwen3'),
  facts: decoderFacts,
  weights: (config) => decoderTable(config, gatedMlpRows(config), { headNorms: true }),
  forward: decoderForward,
  sizes,
});
