import { CortexError } from '@helexa/core';
import type { ByteVocabulary } from './byte-tokenizer.js';
import { chatTemplate } from './byte-tokenizer.js';
import type { GgufEntry } from './gguf-file.js';

/** Where each key of config.json stands in GGUF metadata, under the architecture's prefix. */
const keys = [
  ['num_hidden_layers', 'block_count', 'u32'],
  ['max_position_embeddings', 'context_length', 'u32'],
  ['hidden_size', 'embedding_length', 'u32'],
  ['intermediate_size', 'feed_forward_length', 'u32'],
  ['num_attention_heads', 'attention.head_count', 'u32'],
  ['num_key_value_heads', 'attention.head_count_kv', 'u32'],
  ['head_dim', 'attention.key_length', 'u32'],
  ['head_dim', 'attention.value_length', 'u32'],
  ['rms_norm_eps', 'attention.layer_norm_rms_epsilon', 'f32'],
  ['rope_theta', 'rope.freq_base', 'f32'],
  ['num_experts', 'expert_count', 'u32'],
  ['num_experts_per_tok', 'expert_used_count', 'u32'],
  ['moe_intermediate_size', 'expert_feed_forward_length', 'u32'],
  ['shared_expert_intermediate_size', 'expert_shared_feed_forward_length', 'u32'],
  ['full_attention_interval', 'full_attention_interval', 'u32'],
  ['linear_conv_kernel_dim', 'ssm.conv_kernel', 'u32'],
  ['linear_key_head_dim', 'ssm.state_size', 'u32'],
  ['linear_num_key_heads', 'ssm.group_count', 'u32'],
  ['linear_num_value_heads', 'ssm.time_step_rank', 'u32'],
  ['ssm_inner_size', 'ssm.inner_size', 'u32'],
  ['rotary_dim', 'rope.dimension_count', 'u32'],
] as const;

type Fields = Readonly<Record<string, unknown>>;

/** The keys of a config with those that GGUF states otherwise: products, and what newer files keep in `rope_parameters`. */
function flatten(config: Fields): Fields {
  const flat: Fields = { ...config, ...(config['rope_parameters'] as Fields | null | undefined) };
  const { linear_num_value_heads: heads, linear_value_head_dim: width } = flat;
  const { head_dim: headDim, partial_rotary_factor: fraction } = flat;
  return {
    ...flat,
    ...(typeof heads === 'number' && typeof width === 'number' ? { ssm_inner_size: heads * width } : {}),
    ...(typeof headDim === 'number' && typeof fraction === 'number' ? { rotary_dim: headDim * fraction } : {}),
  };
}

/** GGUF metadata of a model by its config.json; scaled rotary tables are left out: the weights are random anyway. */
export function ggufMetadata(
  prefix: string,
  name: string,
  config: Readonly<Record<string, unknown>>,
  vocabulary: ByteVocabulary,
): ReadonlyMap<string, GgufEntry> {
  const metadata = new Map<string, GgufEntry>([
    ['general.architecture', { type: 'string', value: prefix }],
    ['general.name', { type: 'string', value: `${name} (random weights)` }],
    ['general.alignment', { type: 'u32', value: 32 }],
    ['general.quantization_version', { type: 'u32', value: 2 }],
  ]);
  const flat = flatten(config);
  for (const [from, to, type] of keys) {
    const value = flat[from];
    if (value === undefined) continue;
    if (typeof value !== 'number') {
      throw new CortexError('model_config_invalid', { file: name, reason: `'${from}' is not a number` });
    }
    metadata.set(`${prefix}.${to}`, { type, value });
  }
  const { mrope_section: sections } = flat;
  if (Array.isArray(sections))
    metadata.set(`${prefix}.rope.dimension_sections`, { type: 'i32s', value: [...sections.map(Number), 0] });
  const special = new Set(vocabulary.special.values());
  const entries: [string, GgufEntry][] = [
    ['model', { type: 'string', value: 'gpt2' }],
    ['pre', { type: 'string', value: 'qwen2' }],
    ['tokens', { type: 'strings', value: vocabulary.tokens }],
    ['token_type', { type: 'i32s', value: vocabulary.tokens.map((_, id) => (special.has(id) ? 3 : 1)) }],
    ['merges', { type: 'strings', value: vocabulary.merges.map((pair) => pair.join(' ')) }],
    ['bos_token_id', { type: 'u32', value: vocabulary.bos }],
    ['eos_token_id', { type: 'u32', value: vocabulary.eos }],
    ['padding_token_id', { type: 'u32', value: vocabulary.bos }],
    ['add_bos_token', { type: 'bool', value: false }],
  ];
  for (const [key, entry] of entries) metadata.set(`tokenizer.ggml.${key}`, entry);
  metadata.set('tokenizer.chat_template', { type: 'string', value: chatTemplate });
  return metadata;
}
