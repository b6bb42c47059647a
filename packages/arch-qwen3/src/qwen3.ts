/**
 * Qwen3, dense: 0.6B to 32B and their 2507 releases. As llama, with a norm on every query and key head before the rotation.
 *
 * Reference: transformers, models/qwen3. Refused by name: a sliding window in use, other activations, dynamic rotary
 * scaling, quantised safetensors.
 */
import { contractVersion, defineArchitecture, gatedMlpBlock } from '@helexa/graph';
import { ggufConfig, parseConfig, type Qwen3Config } from './config.js';
import { decode, decoderFacts, decoderTable, denseRows, layersOf } from './decoder.js';
import { sizes } from './sizes.js';

/** Qwen3, dense. */
export const qwen3 = defineArchitecture<Qwen3Config>({
  name: 'qwen3',
  contractVersion,
  modelTypes: ['qwen3'],
  ggufArchitectures: ['qwen3'],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig,
  ggufConfig,
  facts: decoderFacts,
  weights: (config) => decoderTable(config, denseRows(config, layersOf(config))),
  forward: (b, config) => decode(b, config, (x) => gatedMlpBlock(b, x)),
  sizes,
});
