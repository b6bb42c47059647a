/**
 * The llama family: Llama 2, 3, 3.1, 3.2 and what shares their `model_type`. Dense, full rotary embedding, SwiGLU.
 *
 * Reference: transformers, models/llama. Refused by name: other activations, dynamic rotary scaling, partial rotation,
 * quantised safetensors.
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

/** Llama. */
export const llama = defineArchitecture<DecoderConfig>({
  name: 'llama',
  contractVersion,
  modelTypes: ['llama'],
  ggufArchitectures: ['llama'],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig: (json, file) => parseDecoder(json, file, { window: 'none' }),
  ggufConfig: (metadata) => ({ ...ggufDecoder(metadata, 'llama'), mlp_bias: null }),
  facts: decoderFacts,
  weights: (config) => decoderTable(config, gatedMlpRows(config), { pairedInGguf: true }),
  forward: decoderForward,
  sizes,
});
