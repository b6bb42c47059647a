import type { GgufMetadata } from '@helexa/core';
import { ggufReader, parseModelConfig, parseRope, type Rope, requireConfig } from '@helexa/graph';
import { z } from 'zod';

export const count = z.int().positive();

/**
 * Keys of config.json that change what the decoder computes, spelled as the hub spells them, with the reference's defaults. A
 * value that is not supported is refused by name; keys that only concern training or other programs are not looked at.
 */
export const decoderSchema = z.object({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  max_position_embeddings: count,
  rms_norm_eps: z.number().positive(),
  hidden_act: z.literal('silu').default('silu'),
  /** null: unknown, as in a GGUF file. */
  attention_bias: z.boolean().nullable().default(false),
  use_sliding_window: z.literal(false, { error: 'attention over a sliding window is not supported' }).default(false),
  layer_types: z.array(z.literal('full_attention', { error: "only 'full_attention' layers are supported" })).nullish(),
  tie_word_embeddings: z.boolean().default(false),
  rope_theta: z.number().positive().optional(),
  rope_scaling: z.record(z.string(), z.unknown()).nullish(),
  rope_parameters: z.record(z.string(), z.unknown()).nullish(),
  quantization_config: z.null({ error: 'quantised safetensors are not supported; use a GGUF file' }).optional(),
});

const schema = decoderSchema.extend({ head_dim: count.multipleOf(2).default(128) });

/** What the decoder of every model of the family is made by. */
export interface DecoderConfig extends z.infer<typeof decoderSchema> {
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly rope: Rope;
}

/** The config of one dense model with what follows from it. */
export type Qwen3Config = DecoderConfig;

/** Parses config.json, refusing by name what the reference would compute and this architecture does not. */
export function parseConfig(json: unknown, file: string): Qwen3Config {
  return Object.freeze(completeDecoder(parseModelConfig(schema, json, file), file));
}

/** Adds what follows from the keys, and refuses keys that do not go together. */
export function completeDecoder<Fields extends z.infer<typeof decoderSchema> & { readonly head_dim: number }>(
  fields: Fields,
  file: string,
): Fields & DecoderConfig {
  const { num_attention_heads: heads } = fields;
  const kvHeads = fields.num_key_value_heads ?? heads;
  requireConfig(
    heads % kvHeads === 0,
    file,
    `'num_attention_heads' is ${heads}; it must be a multiple of 'num_key_value_heads' (${kvHeads})`,
  );
  return { ...fields, num_key_value_heads: kvHeads, rope: parseRope(fields, file) };
}

/** The same keys out of GGUF metadata. */
export const ggufConfig = (metadata: GgufMetadata): unknown => ggufDecoder(metadata, 'qwen3');

/** Keys of the decoder out of the GGUF metadata of one architecture. */
export function ggufDecoder(metadata: GgufMetadata, prefix: string): object {
  const read = ggufReader(metadata, prefix);
  const tokens = metadata.get('tokenizer.ggml.tokens');
  const scaling = read.string('rope.scaling.type');
  const heads = read.number('attention.head_count');
  const hidden = read.number('embedding_length');
  return {
    vocab_size: read.number('vocab_size') ?? (Array.isArray(tokens) ? tokens.length : undefined),
    hidden_size: hidden,
    intermediate_size: read.number('feed_forward_length'),
    num_hidden_layers: read.number('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: read.number('attention.head_count_kv'),
    // Without the key a file means hidden / heads, not the 128 that config.json means.
    head_dim: read.number('attention.key_length') ?? (hidden && heads ? hidden / heads : undefined),
    max_position_embeddings: read.number('context_length'),
    rms_norm_eps: read.number('attention.layer_norm_rms_epsilon'),
    attention_bias: null,
    rope_theta: read.number('rope.freq_base'),
    rope_scaling:
      scaling === undefined || scaling === 'none'
        ? null
        : {
            rope_type: scaling,
            factor: read.number('rope.scaling.factor'),
            original_max_position_embeddings: read.number('rope.scaling.original_context_length'),
            attention_factor: read.number('rope.scaling.attn_factor'),
          },
  };
}
