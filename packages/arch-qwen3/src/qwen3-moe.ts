/**
 * Qwen3, mixture of experts: 30B-A3B, 235B-A22B and their 2507 and Coder releases. As the dense models, with most or all
 * feed-forward networks sparse.
 *
 * Reference: transformers, models/qwen3_moe. Refused by name: what the dense models refuse.
 */
import {
  contractVersion,
  decoderFacts,
  decoderForward,
  decoderTable,
  defineArchitecture,
  gatedMlpBlock,
  gatedMlpRows,
  moeBlock,
  moeRows,
  type WeightsTable,
} from '@helexa/graph';
import { ggufMoeConfig, parseMoeConfig, type Qwen3MoeConfig } from './moe-config.js';
import { moeSizes } from './sizes.js';

function weights(config: Qwen3MoeConfig): WeightsTable {
  const { hidden_size: hidden, num_experts: experts, moe_intermediate_size: inner } = config;
  const { denseLayers, sparseLayers: layers } = config;
  const dense = denseLayers.length > 0 ? gatedMlpRows(config, denseLayers) : [];
  const prefixes = ['model.layers.{layer}.mlp'];
  const sparse = layers.length > 0 ? moeRows({ layers, hidden, experts, inner, prefixes }) : [];
  return decoderTable(config, [...dense, ...sparse], { headNorms: true });
}

/** Qwen3, mixture of experts. */
export const qwen3Moe = defineArchitecture<Qwen3MoeConfig>({
  name: 'qwen3_moe',
  contractVersion,
  modelTypes: ['qwen3_moe'],
  ggufArchitectures: ['qwen3moe'],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig: parseMoeConfig,
  ggufConfig: ggufMoeConfig,
  facts: decoderFacts,
  weights,
  forward(b, config) {
    const { num_experts: experts, num_experts_per_tok: chosen, norm_topk_prob: renormalise } = config;
    decoderForward(b, config, (x, layer) =>
      config.sparseLayers.includes(layer) ? moeBlock(b, x, { experts, chosen, renormalise }) : gatedMlpBlock(b, x),
    );
  },
  sizes: moeSizes,
});
