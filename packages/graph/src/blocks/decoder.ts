import {
  type Architecture,
  contractVersion,
  defineArchitecture,
  type ModelFacts,
  type PublishedSize,
} from '../architecture.js';
import type { Builder } from '../builder.js';
import type { Value } from '../value.js';
import { attentionBlock } from './attention.js';
import { type DecoderConfig, type DecoderRules, ggufDecoder, parseDecoder } from './decoder-config.js';
import { type DecoderTableOptions, decoderTable, gatedMlpRows } from './decoder-rows.js';
import { gatedMlpBlock } from './gated-mlp.js';
import { attentionFactorOf } from './rope.js';

/** What a decoder keeps per sequence: keys and values in every layer. */
export function decoderFacts(config: DecoderConfig): ModelFacts {
  const layer = { kind: 'kv', kvHeads: config.num_key_value_heads, headDim: config.head_dim } as const;
  return {
    vocab: config.vocab_size,
    hidden: config.hidden_size,
    layers: config.num_hidden_layers,
    maxContext: config.max_position_embeddings,
    state: config.windows.map(() => layer),
  };
}

/**
 * The forward graph of a decoder with a norm before each half of a layer: grouped-query attention, then what `feedForward`
 * gives, a SwiGLU when absent.
 */
export function decoderForward(
  b: Builder,
  config: DecoderConfig,
  feedForward: (x: Value, layer: number) => Value = (x) => gatedMlpBlock(b, x),
): void {
  const { rms_norm_eps: eps, head_dim: headDim } = config;
  const rotary = { headDim, rotaryDim: headDim, attentionFactor: attentionFactorOf(config.rope) };
  let x = b.embed(b.weight('embed')); // [rows, hidden]
  for (const [layer, window] of config.windows.entries())
    b.layer(layer, () => {
      const attention = { rotary, eps, ...(window === null ? {} : { window }) };
      x = b.add(x, attentionBlock(b, b.rmsNorm(x, b.weight('attnNorm'), eps), attention));
      x = b.add(x, feedForward(b.rmsNorm(x, b.weight('mlpNorm'), eps), layer));
    });
  const last = b.rmsNorm(b.gatherRows(x), b.weight('finalNorm'), eps); // [sampled, hidden]
  b.sample(b.linear(last, b.weight('head')));
}

/** What two families of dense decoders differ in. */
export interface DecoderFamily {
  readonly name: string;
  readonly modelTypes: readonly string[];
  /** Name of its GGUF architecture, which is also the prefix of its metadata. */
  readonly ggufArchitecture: string;
  readonly rules: DecoderRules;
  readonly table?: DecoderTableOptions;
  /** Keys that are set beside those of its GGUF metadata, over them where both say something. */
  readonly ggufDefaults?: Readonly<Record<string, unknown>>;
  readonly sizes: readonly PublishedSize[];
}

/**
 * A family of dense decoders: grouped-query attention and gated feed-forward networks, all out of the shared blocks.
 *
 * @example export const qwen2 = defineDecoder({ name: 'qwen2', rules: { window: 'upper' }, ... });
 */
export const defineDecoder = ({
  name,
  modelTypes,
  ggufArchitecture,
  rules,
  table,
  ggufDefaults,
  sizes,
}: DecoderFamily): Architecture =>
  defineArchitecture<DecoderConfig>({
    name,
    contractVersion,
    modelTypes,
    ggufArchitectures: [ggufArchitecture],
    capabilities: { tensorParallel: true, rewind: true, vision: false },
    parseConfig: (json, file) => parseDecoder(json, file, rules),
    ggufConfig: (metadata) => ({ ...ggufDecoder(metadata, ggufArchitecture), ...ggufDefaults }),
    facts: decoderFacts,
    weights: (config) => decoderTable(config, gatedMlpRows(config), table),
    forward: decoderForward,
    sizes,
  });
