import type { PublishedSize } from '@helexa/graph';

const llama3 = (factor: number) => ({
  rope_type: 'llama3',
  factor,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
});

const common = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  hidden_act: 'silu',
  max_position_embeddings: 131072,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  vocab_size: 128256,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
};

/** Published sizes of the family, as their config.json states them. */
export const sizes: readonly PublishedSize[] = [
  {
    name: 'Llama-3.2-1B',
    config: {
      ...common,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 64,
      rope_scaling: llama3(32),
      tie_word_embeddings: true,
    },
  },
  {
    name: 'Llama-3.1-8B',
    config: {
      ...common,
      hidden_size: 4096,
      intermediate_size: 14336,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      rope_scaling: llama3(8),
      tie_word_embeddings: false,
    },
  },
];
