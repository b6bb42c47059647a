import { type GgufMetadata, ggufCount } from '@helexa/core';
import { ggufReader, parseModelConfig, parseRope, type Rope, requireConfig } from '@helexa/graph';
import { z } from 'zod';
import { ggufVision, parseVisionConfig, type VisionConfig } from './vision.js';

const count = z.int().positive();
const layerKind = z.enum(['full_attention', 'linear_attention']);

/**
 * Keys of a text config that change what is computed, spelled as the hub spells them, with the reference's defaults. A value
 * that is not supported is refused by name; keys that only concern training or other programs are not looked at.
 */
const schema = z.object({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count.nullish(),
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count,
  head_dim: count.multipleOf(2).default(256),
  max_position_embeddings: count,
  rms_norm_eps: z.number().positive().default(1e-6),
  hidden_act: z.literal('silu').default('silu'),
  attention_bias: z.literal(false).default(false),
  attn_output_gate: z.literal(true).default(true),
  layer_types: z.array(layerKind).nullish(),
  full_attention_interval: count.default(4),
  linear_conv_kernel_dim: z.int().min(2).default(4),
  linear_key_head_dim: count.default(128),
  linear_value_head_dim: count.default(128),
  linear_num_key_heads: count.default(16),
  linear_num_value_heads: count.default(32),
  num_experts: z.int().nonnegative().nullish(),
  num_experts_per_tok: count.nullish(),
  moe_intermediate_size: count.nullish(),
  shared_expert_intermediate_size: z.int().nonnegative().nullish(),
  norm_topk_prob: z.boolean().default(true),
  decoder_sparse_step: count.default(1),
  mlp_only_layers: z.array(z.int().nonnegative()).nullish(),
  /** Blocks that predict further tokens: their tensors are not read. */
  mtp_num_hidden_layers: z.int().nonnegative().nullish(),
  tie_word_embeddings: z.boolean().default(false),
  rope_theta: z.number().positive().optional(),
  partial_rotary_factor: z.number().positive().default(0.25),
  rope_scaling: z.record(z.string(), z.unknown()).nullish(),
  rope_parameters: z.record(z.string(), z.unknown()).nullish(),
  quantization_config: z.null({ error: 'quantised safetensors are not supported; use a GGUF file' }).optional(),
  /** Value head j belongs to key head j mod the number of key heads: how some GGUF files store them. */
  tiledValueHeads: z.boolean().default(false),
});

type Fields = z.infer<typeof schema>;

/** Experts of the layers that have them. */
export interface Experts {
  readonly count: number;
  readonly chosen: number;
  readonly inner: number;
  readonly shared: number;
}

/** The config of one model with what follows from it. */
export interface HybridConfig extends Fields {
  readonly rope: Rope;
  /** Columns of a head that are rotated. */
  readonly rotaryDim: number;
  /** Sections of interleaved M-RoPE on the height and width axes; null: positions have one axis. */
  readonly sections: readonly [h: number, w: number] | null;
  readonly layerTypes: readonly z.infer<typeof layerKind>[];
  readonly experts: Experts | null;
  /** Layers whose feed-forward part is a mixture of experts; the others have a SwiGLU of `intermediate_size`. */
  readonly sparseLayers: readonly number[];
  /** The tower that a wrapper of text and vision has. */
  readonly vision: VisionConfig | null;
}

/** Parses config.json, refusing by name what the reference would compute and this architecture does not. */
export function parseConfig(json: unknown, file: string): HybridConfig {
  const fields = parseModelConfig(schema, textConfig(json), file);
  const require = (holds: boolean, reason: string): void => requireConfig(holds, file, reason);
  const multiple = (many: 'num_attention_heads' | 'linear_num_value_heads', few: keyof Fields): void =>
    require(fields[many] % (fields[few] as number) ===
      0, `'${many}' is ${fields[many]}; it must be a multiple of '${few}' (${fields[few]})`);
  multiple('num_attention_heads', 'num_key_value_heads');
  multiple('linear_num_value_heads', 'linear_num_key_heads');
  const layers = Array.from({ length: fields.num_hidden_layers }, (_, layer) => layer);
  const layerTypes =
    fields.layer_types ??
    layers.map((layer) => ((layer + 1) % fields.full_attention_interval === 0 ? 'full_attention' : 'linear_attention'));
  require(layerTypes.length ===
    layers.length, `'layer_types' has ${layerTypes.length} entries for ${layers.length} layers`);
  const experts = expertsOf(fields, require);
  const sparseLayers = experts ? layers.filter((layer) => isSparse(fields, layer)) : [];
  require(sparseLayers.length === layers.length ||
    fields.intermediate_size != null, `'intermediate_size' is missing; layers without experts need it`);
  const rope = parseRope(fields, file, { partial: true });
  const rotaryDim = fields.head_dim * rope.fraction;
  require(Number.isInteger(
    rotaryDim / 2,
  ), `'partial_rotary_factor' rotates ${rotaryDim} of ${fields.head_dim} columns of a head; an even number is wanted`);
  const sections = sectionsOf(fields, rotaryDim, require);
  const vision = parseVisionConfig(json, file);
  require(vision === null ||
    vision.out_hidden_size ===
      fields.hidden_size, `'vision_config.out_hidden_size' is ${vision?.out_hidden_size}; the text's 'hidden_size' (${fields.hidden_size}) is wanted`);
  return Object.freeze({ ...fields, rope, rotaryDim, sections, layerTypes, experts, sparseLayers, vision });
}

/** A wrapper of text and vision keeps the text's keys one level down, and says itself whether the embedding is tied. */
function textConfig(json: unknown): unknown {
  const outer = json as { readonly text_config?: unknown; readonly tie_word_embeddings?: unknown } | null;
  const inner = outer?.text_config;
  if (typeof inner !== 'object' || inner === null) return json;
  const tied = outer?.tie_word_embeddings;
  return { ...(tied === undefined ? {} : { tie_word_embeddings: tied }), ...inner };
}

type Require = (holds: boolean, reason: string) => void;

function expertsOf(fields: Fields, require: Require): Experts | null {
  if (!fields.num_experts) return null;
  const { num_experts: all, num_experts_per_tok: chosen, moe_intermediate_size: inner } = fields;
  require(inner != null, `'moe_intermediate_size' is missing; a model with experts needs it`);
  require(chosen != null && chosen <= all, `'num_experts_per_tok' is ${chosen ?? 'missing'}; 1 to ${all} are wanted`);
  return { count: all, chosen: chosen!, inner: inner!, shared: fields.shared_expert_intermediate_size ?? 0 };
}

const isSparse = (fields: Fields, layer: number): boolean =>
  !fields.mlp_only_layers?.includes(layer) && (layer + 1) % fields.decoder_sparse_step === 0;

function sectionsOf(fields: Fields, rotaryDim: number, require: Require): HybridConfig['sections'] {
  const given = (fields.rope_parameters ?? fields.rope_scaling ?? {}) as Readonly<Record<string, unknown>>;
  const { mrope_section: sections, mrope_interleaved: isInterleaved } = given;
  if (sections === undefined || sections === null) return null;
  require(Array.isArray(sections) &&
    sections.length === 3 &&
    sections.every(
      (part) => Number.isInteger(part) && part >= 0,
    ), `'rope_parameters.mrope_section' is ${JSON.stringify(sections)}; three whole numbers are wanted`);
  const [t, h, w] = sections as [number, number, number];
  require(t + h + w ===
    rotaryDim / 2, `'rope_parameters.mrope_section' is ${t}, ${h}, ${w}; a sum of ${rotaryDim / 2} is wanted`);
  require(isInterleaved ===
    true, `'rope_parameters.mrope_interleaved' is ${JSON.stringify(isInterleaved)}; only true is supported`);
  return [h, w];
}

/** The same keys out of GGUF metadata. */
export function ggufConfig(metadata: GgufMetadata): unknown {
  const name = String(metadata.get('general.architecture'));
  const read = ggufReader(metadata, name);
  const blocks = read.number('block_count');
  const extra = read.number('nextn_predict_layers') ?? 0;
  const headDim = read.number('attention.key_length');
  const rotated = read.number('rope.dimension_count');
  const valueHeads = read.number('ssm.time_step_rank');
  const keyHeads = read.number('ssm.group_count');
  const inner = read.number('ssm.inner_size');
  const recurrent = metadata.get(`${name}.attention.recurrent_layers`);
  const scaling = read.string('rope.scaling.type');
  const sections = metadata.get(`${name}.rope.dimension_sections`);
  return {
    vocab_size: read.number('vocab_size') ?? ggufCount(metadata, 'tokenizer.ggml.tokens'),
    hidden_size: read.number('embedding_length'),
    intermediate_size: read.number('feed_forward_length'),
    num_hidden_layers: blocks === undefined ? undefined : blocks - extra,
    mtp_num_hidden_layers: extra,
    num_attention_heads: largest(metadata, `${name}.attention.head_count`),
    num_key_value_heads: largest(metadata, `${name}.attention.head_count_kv`),
    head_dim: headDim,
    max_position_embeddings: read.number('context_length'),
    rms_norm_eps: read.number('attention.layer_norm_rms_epsilon'),
    full_attention_interval: read.number('full_attention_interval'),
    layer_types: Array.isArray(recurrent)
      ? recurrent
          .slice(0, (blocks ?? 0) - extra)
          .map((isRecurrent) => (isRecurrent ? 'linear_attention' : 'full_attention'))
      : undefined,
    linear_conv_kernel_dim: read.number('ssm.conv_kernel'),
    linear_key_head_dim: read.number('ssm.state_size'),
    linear_value_head_dim: inner !== undefined && valueHeads ? inner / valueHeads : undefined,
    linear_num_key_heads: keyHeads,
    linear_num_value_heads: valueHeads,
    num_experts: read.number('expert_count'),
    num_experts_per_tok: read.number('expert_used_count'),
    moe_intermediate_size: read.number('expert_feed_forward_length'),
    shared_expert_intermediate_size: read.number('expert_shared_feed_forward_length'),
    rope_parameters: {
      rope_type: scaling === undefined || scaling === 'none' ? 'default' : scaling,
      rope_theta: read.number('rope.freq_base'),
      partial_rotary_factor: rotated && headDim ? rotated / headDim : undefined,
      factor: read.number('rope.scaling.factor'),
      original_max_position_embeddings: read.number('rope.scaling.original_context_length'),
      attention_factor: read.number('rope.scaling.attn_factor'),
      ...(Array.isArray(sections) ? { mrope_section: sections.slice(0, 3), mrope_interleaved: true } : {}),
    },
    ...(name.startsWith('qwen35') ? ggufVision(metadata, read.number('embedding_length')) : {}),
    tiledValueHeads: name.startsWith('qwen35') && keyHeads !== valueHeads,
  };
}

/** A number, or the largest of one per layer: linear layers count no heads. */
function largest(metadata: GgufMetadata, key: string): unknown {
  const value = metadata.get(key);
  return Array.isArray(value) && value.length > 0 ? Math.max(...value.map(Number)) : value;
}
