import type { PublishedSize } from '@helexa/graph';

const common = {
  model_type: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],
  hidden_act: 'silu',
  max_position_embeddings: 32768,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000,
  use_sliding_window: false,
  sliding_window: 32768,
  bos_token_id: 151643,
  eos_token_id: 151645,
};

/** Published sizes of the family, as their config.json states them. */
export const sizes: readonly PublishedSize[] = [
  {
    name: 'Qwen2.5-0.5B',
    config: {
      ...common,
      vocab_size: 151936,
      hidden_size: 896,
      intermediate_size: 4864,
      num_hidden_layers: 24,
      num_attention_heads: 14,
      num_key_value_heads: 2,
      max_window_layers: 21,
      tie_word_embeddings: true,
    },
  },
  {
    name: 'Qwen2.5-7B',
    config: {
      ...common,
      vocab_size: 152064,
      hidden_size: 3584,
      intermediate_size: 18944,
      num_hidden_layers: 28,
      num_attention_heads: 28,
      num_key_value_heads: 4,
      max_window_layers: 28,
      tie_word_embeddings: false,
    },
  },
];
