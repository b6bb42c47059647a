import type { PublishedSize } from '@helexa/graph';

const hybrid = {
  hidden_act: 'silu',
  head_dim: 256,
  max_position_embeddings: 262144,
  rms_norm_eps: 1e-6,
  attention_bias: false,
  full_attention_interval: 4,
  linear_conv_kernel_dim: 4,
  linear_key_head_dim: 128,
  linear_value_head_dim: 128,
  linear_num_key_heads: 16,
};

const qwen3Next = (name: string, layers: number, experts: number): PublishedSize => ({
  name,
  config: {
    ...hybrid,
    model_type: 'qwen3_next',
    architectures: ['Qwen3NextForCausalLM'],
    vocab_size: 151936,
    hidden_size: 2048,
    intermediate_size: 5120,
    num_hidden_layers: layers,
    num_attention_heads: 16,
    num_key_value_heads: 2,
    linear_num_value_heads: 32,
    num_experts: experts,
    num_experts_per_tok: 10,
    moe_intermediate_size: 512,
    shared_expert_intermediate_size: 512,
    norm_topk_prob: true,
    decoder_sparse_step: 1,
    mlp_only_layers: [],
    partial_rotary_factor: 0.25,
    rope_theta: 10000000,
    rope_scaling: null,
    tie_word_embeddings: false,
    bos_token_id: 151643,
    eos_token_id: 151645,
  },
});

/** Qwen3-Next, whole and cut down to what a small machine holds: fewer layers and experts of the published width. */
export const qwen3NextSizes: readonly PublishedSize[] = [
  qwen3Next('Qwen3-Next-80B-A3B', 48, 512),
  qwen3Next('Qwen3-Next-cut-8L-64E', 8, 64),
];

interface Qwen35Size {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly valueHeads: number;
  readonly tied: boolean;
}

/** The text part of a published config, without the wrapper of the vision tower. */
const qwen35 = (name: string, type: string, size: Qwen35Size, feedForward: object): PublishedSize => ({
  name,
  config: {
    ...hybrid,
    ...feedForward,
    model_type: type,
    architectures: [type === 'qwen3_5' ? 'Qwen3_5ForConditionalGeneration' : 'Qwen3_5MoeForConditionalGeneration'],
    vocab_size: 248320,
    hidden_size: size.hidden,
    num_hidden_layers: size.layers,
    num_attention_heads: size.heads,
    num_key_value_heads: size.kvHeads,
    linear_num_value_heads: size.valueHeads,
    attn_output_gate: true,
    rope_parameters: {
      rope_type: 'default',
      rope_theta: 10000000,
      partial_rotary_factor: 0.25,
      mrope_section: [11, 11, 10],
      mrope_interleaved: true,
    },
    tie_word_embeddings: size.tied,
    bos_token_id: 248044,
    eos_token_id: 248046,
  },
});

const dense = (name: string, inner: number, size: Qwen35Size): PublishedSize =>
  qwen35(name, 'qwen3_5', size, { intermediate_size: inner });

/** Published sizes of Qwen3.5 without experts. */
export const qwen35Sizes: readonly PublishedSize[] = [
  dense('Qwen3.5-0.8B', 3584, { hidden: 1024, layers: 24, heads: 8, kvHeads: 2, valueHeads: 16, tied: true }),
  dense('Qwen3.5-2B', 6144, { hidden: 2048, layers: 24, heads: 8, kvHeads: 2, valueHeads: 16, tied: true }),
  dense('Qwen3.5-4B', 9216, { hidden: 2560, layers: 32, heads: 16, kvHeads: 4, valueHeads: 32, tied: true }),
  dense('Qwen3.5-9B', 12288, { hidden: 4096, layers: 32, heads: 16, kvHeads: 4, valueHeads: 32, tied: false }),
  dense('Qwen3.5-27B', 17408, { hidden: 5120, layers: 64, heads: 24, kvHeads: 4, valueHeads: 48, tied: false }),
];

/** Published sizes of Qwen3.5 with experts. */
export const qwen35MoeSizes: readonly PublishedSize[] = [
  qwen35(
    'Qwen3.5-35B-A3B',
    'qwen3_5_moe',
    { hidden: 2048, layers: 40, heads: 16, kvHeads: 2, valueHeads: 32, tied: false },
    { num_experts: 256, num_experts_per_tok: 8, moe_intermediate_size: 512, shared_expert_intermediate_size: 512 },
  ),
];
