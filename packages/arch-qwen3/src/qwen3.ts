/**
 * Qwen3, dense: 0.6B to 32B and their 2507 releases. As llama, with a norm on every query and key head before the rotation.
 *
 * Reference: transformers, models/qwen3. Refused by name: a sliding window in use, other activations, dynamic rotary
 * scaling, quantised safetensors.
 */
import {
  attentionBlock,
  attentionFactorOf,
  type Builder,
  type Cut,
  contractVersion,
  defineArchitecture,
  fusedRow,
  gatedMlpBlock,
  inverseFrequencies,
  type ModelFacts,
  matrixRow,
  named,
  vectorRow,
  type WeightsTable,
} from '@helexa/graph';
import { ggufConfig, parseConfig, type Qwen3Config } from './config.js';
import { sizes } from './sizes.js';

function weights(config: Qwen3Config): WeightsTable {
  const { vocab_size: vocabSize, hidden_size: hidden, intermediate_size: inner, head_dim: headDim } = config;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const layers = Array.from({ length: config.num_hidden_layers }, (_, layer) => layer);
  const vocabCut: Cut = { name: 'vocab', unit: 'tokens', count: vocabSize, uneven: true };
  const headsCut: Cut = { name: 'heads', unit: 'kv heads', count: kvHeads, repeats: true };
  const innerCut: Cut = { name: 'inter', unit: 'columns', count: inner };
  const rowsBy = (cut: Cut) => ({ layers, cut: { axis: 'rows', cut } }) as const;
  const colsBy = (cut: Cut) => ({ layers, cut: { axis: 'cols', cut } }) as const;

  const attention = (kind: 'weight' | 'bias') =>
    ['q', 'k', 'v'].map((name) => ({
      name,
      rows: (name === 'q' ? heads : kvHeads) * headDim,
      ...(name === 'q' ? { units: heads } : {}),
      ...named(`model.layers.{layer}.self_attn.${name}_proj.${kind}`, `blk.{layer}.attn_${name}.${kind}`),
    }));
  const mlp = ['gate', 'up'].map((name) => ({
    name,
    rows: inner,
    ...named(`model.layers.{layer}.mlp.${name}_proj.weight`, `blk.{layer}.ffn_${name}.weight`),
  }));
  const norm = (slot: string, length: number, hub: string, gguf: string) =>
    vectorRow(slot, length, named(`model.layers.{layer}.${hub}.weight`, `blk.{layer}.${gguf}.weight`), { layers });
  // A GGUF file does not say whether it has biases (null): those it has are used.
  const bias = { optional: config.attention_bias === null };
  const outBiasName = named('model.layers.{layer}.self_attn.o_proj.bias', 'blk.{layer}.attn_output.bias');

  return {
    rows: [
      matrixRow('embed', [vocabSize, hidden], named('model.embed_tokens.weight', 'token_embd.weight'), {
        cut: { axis: 'rows', cut: vocabCut },
        lookup: true,
      }),
      vectorRow(
        'inverseFrequency',
        headDim / 2,
        { safetensors: [], gguf: [] },
        { compute: (factors) => inverseFrequencies(config.rope, headDim, factors) },
      ),
      norm('attnNorm', hidden, 'input_layernorm', 'attn_norm'),
      fusedRow('qkv', hidden, attention('weight'), rowsBy(headsCut)),
      ...(config.attention_bias === false
        ? []
        : [
            fusedRow('qkvBias', null, attention('bias'), { ...rowsBy(headsCut), ...bias }),
            vectorRow('attnOutBias', hidden, outBiasName, { layers, once: true, ...bias }),
          ]),
      norm('qNorm', headDim, 'self_attn.q_norm', 'attn_q_norm'),
      norm('kNorm', headDim, 'self_attn.k_norm', 'attn_k_norm'),
      matrixRow(
        'attnOut',
        [hidden, heads * headDim],
        named('model.layers.{layer}.self_attn.o_proj.weight', 'blk.{layer}.attn_output.weight'),
        colsBy(headsCut),
      ),
      norm('mlpNorm', hidden, 'post_attention_layernorm', 'ffn_norm'),
      fusedRow('gateUp', hidden, mlp, rowsBy(innerCut)),
      matrixRow(
        'down',
        [hidden, inner],
        named('model.layers.{layer}.mlp.down_proj.weight', 'blk.{layer}.ffn_down.weight'),
        colsBy(innerCut),
      ),
      vectorRow('finalNorm', hidden, named('model.norm.weight', 'output_norm.weight')),
      matrixRow(
        'head',
        [vocabSize, hidden],
        config.tie_word_embeddings ? { safetensors: [], gguf: [] } : named('lm_head.weight', 'output.weight'),
        { cut: { axis: 'rows', cut: vocabCut }, tie: 'embed' },
      ),
    ],
    ignored: ['*.rotary_emb.inv_freq', ...(config.tie_word_embeddings ? ['lm_head.weight', 'output.weight'] : [])],
  };
}

function facts(config: Qwen3Config): ModelFacts {
  const layer = { kind: 'kv', kvHeads: config.num_key_value_heads, headDim: config.head_dim } as const;
  return {
    vocab: config.vocab_size,
    hidden: config.hidden_size,
    layers: config.num_hidden_layers,
    maxContext: config.max_position_embeddings,
    state: Array.from({ length: config.num_hidden_layers }, () => layer),
  };
}

function forward(b: Builder, config: Qwen3Config): void {
  const { rms_norm_eps: eps, head_dim: headDim, num_hidden_layers: layers } = config;
  const rotary = { headDim, rotaryDim: headDim, attentionFactor: attentionFactorOf(config.rope) };
  let x = b.embed(b.weight('embed')); // [rows, hidden]
  for (let layer = 0; layer < layers; layer++)
    b.layer(layer, () => {
      x = b.add(x, attentionBlock(b, b.rmsNorm(x, b.weight('attnNorm'), eps), { rotary, eps }));
      x = b.add(x, gatedMlpBlock(b, b.rmsNorm(x, b.weight('mlpNorm'), eps)));
    });
  const last = b.rmsNorm(b.gatherRows(x), b.weight('finalNorm'), eps); // [sampled, hidden]
  b.sample(b.linear(last, b.weight('head')));
}

/** Qwen3, dense. */
export const qwen3 = defineArchitecture<Qwen3Config>({
  name: 'qwen3',
  contractVersion,
  modelTypes: ['qwen3'],
  ggufArchitectures: ['qwen3'],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig,
  ggufConfig,
  facts,
  weights,
  forward,
  sizes,
});
