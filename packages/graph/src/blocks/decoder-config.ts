import { type GgufMetadata, ggufCount } from '@helexa/core';
import { z } from 'zod';
import { ggufReader, parseModelConfig, requireConfig } from '../model-config.js';
import { parseRope, type Rope } from './rope.js';

const count = z.int().positive();

/**
 * Keys of config.json that change what a decoder computes, spelled as the hub spells them, with the reference's defaults. A
 * value that is not supported is refused by name; keys that only concern training or other programs are not looked at.
 */
const schema = z.object({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  max_position_embeddings: count,
  rms_norm_eps: z.number().positive(),
  hidden_act: z.literal('silu').default('silu'),
  /** null: unknown, as in a GGUF file. */
  attention_bias: z.boolean().nullable().default(false),
  mlp_bias: z.boolean().nullable().default(false),
  tie_word_embeddings: z.boolean().default(false),
  sliding_window: count.nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.int().nonnegative().nullish(),
  layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish(),
  rope_theta: z.number().positive().optional(),
  rope_scaling: z.record(z.string(), z.unknown()).nullish(),
  rope_parameters: z.record(z.string(), z.unknown()).nullish(),
  quantization_config: z.null({ error: 'quantised safetensors are not supported; use a GGUF file' }).optional(),
});

type Fields = z.infer<typeof schema>;

/** The config of a decoder with what follows from it. */
export interface DecoderConfig extends Fields {
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly rope: Rope;
  /** Last tokens that each layer's attention sees; null: all. */
  readonly windows: readonly (number | null)[];
}

/** What a family means where config.json is silent. */
export interface DecoderRules {
  /** Width of a head when `head_dim` is absent; without it, hidden size over heads. */
  readonly headDim?: number;
  /**
   * Layers that `sliding_window` concerns: `none`, `all`, or `upper`, those from `max_window_layers` on while
   * `use_sliding_window` is true. `layer_types` goes before it.
   */
  readonly window: 'none' | 'all' | 'upper';
}

/** Parses config.json, refusing by name what the reference would compute and a decoder here does not. */
export function parseDecoder(json: unknown, file: string, rules: DecoderRules): DecoderConfig {
  const fields = parseModelConfig(schema, json, file);
  const { hidden_size: hidden, num_attention_heads: heads } = fields;
  const kvHeads = fields.num_key_value_heads ?? heads;
  requireConfig(
    heads % kvHeads === 0,
    file,
    `'num_attention_heads' is ${heads}; it must be a multiple of 'num_key_value_heads' (${kvHeads})`,
  );
  const headDim = fields.head_dim ?? rules.headDim ?? hidden / heads;
  const absent = fields.head_dim == null && rules.headDim === undefined;
  requireConfig(
    Number.isInteger(headDim) && headDim % 2 === 0,
    file,
    absent
      ? `'head_dim' is absent and 'hidden_size' / 'num_attention_heads' is ${headDim}; an even whole number is wanted`
      : `'head_dim' is ${headDim}; an even whole number is wanted`,
  );
  const windows = windowsOf(fields, file, rules.window);
  const rope = parseRope(fields, file);
  return Object.freeze({ ...fields, num_key_value_heads: kvHeads, head_dim: headDim, rope, windows });
}

function windowsOf(fields: Fields, file: string, rule: DecoderRules['window']): DecoderConfig['windows'] {
  const { num_hidden_layers: layers, layer_types: types, max_window_layers: full } = fields;
  const isOn = rule === 'all' || (rule === 'upper' && fields.use_sliding_window === true);
  const window = isOn ? (fields.sliding_window ?? null) : null;
  requireConfig(
    types == null || types.length === layers,
    file,
    `'layer_types' has ${types?.length} entries for ${layers} layers`,
  );
  requireConfig(
    window !== null || !types?.includes('sliding_attention'),
    file,
    "'layer_types' names 'sliding_attention'; no 'sliding_window' is in use",
  );
  requireConfig(
    window === null || rule !== 'upper' || types != null || full != null,
    file,
    "'max_window_layers' is missing; a model with 'use_sliding_window' needs it",
  );
  const slides = (layer: number): boolean =>
    types ? types[layer] === 'sliding_attention' : rule === 'all' || layer >= full!;
  return Array.from({ length: layers }, (_, layer) => (window !== null && slides(layer) ? window : null));
}

/** The same keys out of the GGUF metadata of one architecture. Such a file does not say whether its attention has biases. */
export function ggufDecoder(metadata: GgufMetadata, prefix: string): Readonly<Record<string, unknown>> {
  const read = ggufReader(metadata, prefix);
  const scaling = read.string('rope.scaling.type');
  const heads = read.number('attention.head_count');
  const hidden = read.number('embedding_length');
  return {
    vocab_size: read.number('vocab_size') ?? ggufCount(metadata, 'tokenizer.ggml.tokens'),
    hidden_size: hidden,
    intermediate_size: read.number('feed_forward_length'),
    num_hidden_layers: read.number('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: read.number('attention.head_count_kv'),
    // Without the key a file means hidden / heads, whatever config.json would mean.
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
