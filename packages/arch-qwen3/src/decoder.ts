/** What the dense and the sparse models of the family share: everything but what stands in a layer after the attention. */
import {
  attentionBlock,
  attentionFactorOf,
  type Builder,
  type Cut,
  fusedRow,
  inverseFrequencies,
  type ModelFacts,
  matrixRow,
  named,
  type Value,
  vectorRow,
  type WeightRow,
  type WeightsTable,
} from '@helexa/graph';
import type { DecoderConfig } from './config.js';

/** All layers of a model. */
export const layersOf = (config: DecoderConfig): readonly number[] =>
  Array.from({ length: config.num_hidden_layers }, (_, layer) => layer);

/** The table of a model, given the rows of its feed-forward networks. */
export function decoderTable(config: DecoderConfig, feedForward: readonly WeightRow[]): WeightsTable {
  const { vocab_size: vocabSize, hidden_size: hidden, head_dim: headDim } = config;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const layers = layersOf(config);
  const vocabCut: Cut = { name: 'vocab', unit: 'tokens', count: vocabSize, uneven: true };
  const headsCut: Cut = { name: 'heads', unit: 'kv heads', count: kvHeads, repeats: true };
  const rowsByHeads = { layers, cut: { axis: 'rows', cut: headsCut } } as const;

  const attention = (kind: 'weight' | 'bias') =>
    ['q', 'k', 'v'].map((name) => ({
      name,
      rows: (name === 'q' ? heads : kvHeads) * headDim,
      ...(name === 'q' ? { units: heads } : {}),
      ...named(`model.layers.{layer}.self_attn.${name}_proj.${kind}`, `blk.{layer}.attn_${name}.${kind}`),
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
      fusedRow('qkv', hidden, attention('weight'), rowsByHeads),
      ...(config.attention_bias === false
        ? []
        : [
            fusedRow('qkvBias', null, attention('bias'), { ...rowsByHeads, ...bias }),
            vectorRow('attnOutBias', hidden, outBiasName, { layers, once: true, ...bias }),
          ]),
      norm('qNorm', headDim, 'self_attn.q_norm', 'attn_q_norm'),
      norm('kNorm', headDim, 'self_attn.k_norm', 'attn_k_norm'),
      matrixRow(
        'attnOut',
        [hidden, heads * headDim],
        named('model.layers.{layer}.self_attn.o_proj.weight', 'blk.{layer}.attn_output.weight'),
        { layers, cut: { axis: 'cols', cut: headsCut } },
      ),
      norm('mlpNorm', hidden, 'post_attention_layernorm', 'ffn_norm'),
      ...feedForward,
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

/** Rows of the SwiGLU of dense layers. */
export function denseRows(config: DecoderConfig, layers: readonly number[]): readonly WeightRow[] {
  const { hidden_size: hidden, intermediate_size: inner } = config;
  const cut: Cut = { name: 'inter', unit: 'columns', count: inner };
  const gateUp = ['gate', 'up'].map((name) => ({
    name,
    rows: inner,
    ...named(`model.layers.{layer}.mlp.${name}_proj.weight`, `blk.{layer}.ffn_${name}.weight`),
  }));
  const down = named('model.layers.{layer}.mlp.down_proj.weight', 'blk.{layer}.ffn_down.weight');
  return [
    fusedRow('gateUp', hidden, gateUp, { layers, cut: { axis: 'rows', cut } }),
    matrixRow('down', [hidden, inner], down, { layers, cut: { axis: 'cols', cut } }),
  ];
}

export function decoderFacts(config: DecoderConfig): ModelFacts {
  const layer = { kind: 'kv', kvHeads: config.num_key_value_heads, headDim: config.head_dim } as const;
  return {
    vocab: config.vocab_size,
    hidden: config.hidden_size,
    layers: config.num_hidden_layers,
    maxContext: config.max_position_embeddings,
    state: layersOf(config).map(() => layer),
  };
}

/** The forward graph, given what stands after the attention of each layer. */
export function decode(b: Builder, config: DecoderConfig, feedForward: (x: Value, layer: number) => Value): void {
  const { rms_norm_eps: eps, head_dim: headDim } = config;
  const rotary = { headDim, rotaryDim: headDim, attentionFactor: attentionFactorOf(config.rope) };
  let x = b.embed(b.weight('embed')); // [rows, hidden]
  for (const layer of layersOf(config))
    b.layer(layer, () => {
      x = b.add(x, attentionBlock(b, b.rmsNorm(x, b.weight('attnNorm'), eps), { rotary, eps }));
      x = b.add(x, feedForward(b.rmsNorm(x, b.weight('mlpNorm'), eps), layer));
    });
  const last = b.rmsNorm(b.gatherRows(x), b.weight('finalNorm'), eps); // [sampled, hidden]
  b.sample(b.linear(last, b.weight('head')));
}
