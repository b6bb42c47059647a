import type { PublishedSize } from '@helexa/graph';

const common = {
  model_type: 'qwen3',
  architectures: ['Qwen3ForCausalLM'],
  hidden_act: 'silu',
  head_dim: 128,
  num_key_value_heads: 8,
  max_position_embeddings: 40960,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000,
  rope_scaling: null,
  attention_bias: false,
  use_sliding_window: false,
  sliding_window: null,
  vocab_size: 151936,
  bos_token_id: 151643,
  eos_token_id: 151645,
};

const size = (
  name: string,
  hidden: number,
  inner: number,
  layers: number,
  heads: number,
  tied: boolean,
): PublishedSize => ({
  name,
  config: {
    ...common,
    hidden_size: hidden,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    tie_word_embeddings: tied,
  },
});

/** Published sizes of the family, as their config.json states them. */
export const sizes: readonly PublishedSize[] = [
  size('Qwen3-0.6B', 1024, 3072, 28, 16, true),
  size('Qwen3-1.7B', 2048, 6144, 28, 16, true),
  size('Qwen3-4B', 2560, 9728, 36, 32, true),
  size('Qwen3-8B', 4096, 12288, 36, 32, false),
];

const moeSize = (
  name: string,
  [hidden, inner, expertInner]: readonly [number, number, number],
  layers: number,
  [heads, kvHeads]: readonly [number, number],
): PublishedSize => ({
  name,
  config: {
    ...common,
    model_type: 'qwen3_moe',
    architectures: ['Qwen3MoeForCausalLM'],
    hidden_size: hidden,
    intermediate_size: inner,
    moe_intermediate_size: expertInner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    num_experts: 128,
    num_experts_per_tok: 8,
    norm_topk_prob: true,
    decoder_sparse_step: 1,
    mlp_only_layers: [],
    tie_word_embeddings: false,
  },
});

/** Published sizes of the mixtures of experts. */
export const moeSizes: readonly PublishedSize[] = [
  moeSize('Qwen3-30B-A3B', [2048, 6144, 768], 48, [32, 4]),
  moeSize('Qwen3-235B-A22B', [4096, 12288, 1536], 94, [64, 4]),
];
