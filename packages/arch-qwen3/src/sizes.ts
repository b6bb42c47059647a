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
