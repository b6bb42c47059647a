/**
 * The llama family: Llama 2, 3, 3.1, 3.2 and what shares their `model_type`. Dense, full rotary embedding, SwiGLU.
 *
 * Reference: transformers, models/llama. Refused by name: other activations, dynamic rotary scaling, partial rotation,
 * quantised safetensors.
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
import { ggufConfig, type LlamaConfig, parseConfig } from './config.js';
import { sizes } from './sizes.js';

/**
 * Row of a GGUF file that holds a row of `q` or `k`: the file keeps the two halves of a head's rotated pairs side by side.
 */
const pairedRow =
  (headDim: number) =>
  (row: number): number => {
    const within = row % headDim;
    const half = headDim / 2;
    return row - within + 2 * (within % half) + Math.floor(within / half);
  };

function weights(config: LlamaConfig): WeightsTable {
  const { vocab_size: vocabSize, hidden_size: hidden, intermediate_size: inner, headDim } = config;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const layers = Array.from({ length: config.num_hidden_layers }, (_, layer) => layer);
  const vocabCut: Cut = { name: 'vocab', unit: 'tokens', count: vocabSize, uneven: true };
  const headsCut: Cut = { name: 'heads', unit: 'kv heads', count: kvHeads, repeats: true };
  const innerCut: Cut = { name: 'inter', unit: 'columns', count: inner };
  const rowsBy = (cut: Cut) => ({ layers, cut: { axis: 'rows', cut } }) as const;
  const colsBy = (cut: Cut) => ({ layers, cut: { axis: 'cols', cut } }) as const;
  const row = pairedRow(headDim);

  const attention = (kind: 'weight' | 'bias') => [
    {
      name: 'q',
      rows: heads * headDim,
      units: heads,
      ...named(`model.layers.{layer}.self_attn.q_proj.${kind}`, `blk.{layer}.attn_q.${kind}`, { row }),
    },
    {
      name: 'k',
      rows: kvHeads * headDim,
      ...named(`model.layers.{layer}.self_attn.k_proj.${kind}`, `blk.{layer}.attn_k.${kind}`, { row }),
    },
    {
      name: 'v',
      rows: kvHeads * headDim,
      ...named(`model.layers.{layer}.self_attn.v_proj.${kind}`, `blk.{layer}.attn_v.${kind}`),
    },
  ];
  const mlp = (kind: 'weight' | 'bias') =>
    ['gate', 'up'].map((name) => ({
      name,
      rows: inner,
      ...named(`model.layers.{layer}.mlp.${name}_proj.${kind}`, `blk.{layer}.ffn_${name}.${kind}`),
    }));
  // A GGUF file does not say whether it has biases (null): those it has are used.
  const attentionBias = { optional: config.attention_bias === null };
  const mlpBias = { optional: config.mlp_bias === null };
  const attnOutName = named('model.layers.{layer}.self_attn.o_proj.bias', 'blk.{layer}.attn_output.bias');
  const downName = named('model.layers.{layer}.mlp.down_proj.bias', 'blk.{layer}.ffn_down.bias');

  return {
    rows: [
      matrixRow('embed', [vocabSize, hidden], named('model.embed_tokens.weight', 'token_embd.weight'), {
        cut: { axis: 'rows', cut: vocabCut },
        lookup: true,
      }),
      fusedRow(
        'inverseFrequency',
        null,
        [
          {
            name: 'inverseFrequency',
            rows: headDim / 2,
            safetensors: [],
            gguf: [{ tensor: 'rope_freqs.weight' }],
          },
        ],
        { compute: (factors) => inverseFrequencies(config.rope, headDim, factors) },
      ),
      vectorRow(
        'attnNorm',
        hidden,
        named('model.layers.{layer}.input_layernorm.weight', 'blk.{layer}.attn_norm.weight'),
        {
          layers,
        },
      ),
      fusedRow('qkv', hidden, attention('weight'), rowsBy(headsCut)),
      ...(config.attention_bias === false
        ? []
        : [
            fusedRow('qkvBias', null, attention('bias'), { ...rowsBy(headsCut), ...attentionBias }),
            vectorRow('attnOutBias', hidden, attnOutName, { layers, once: true, ...attentionBias }),
          ]),
      matrixRow(
        'attnOut',
        [hidden, heads * headDim],
        named('model.layers.{layer}.self_attn.o_proj.weight', 'blk.{layer}.attn_output.weight'),
        colsBy(headsCut),
      ),
      vectorRow(
        'mlpNorm',
        hidden,
        named('model.layers.{layer}.post_attention_layernorm.weight', 'blk.{layer}.ffn_norm.weight'),
        { layers },
      ),
      fusedRow('gateUp', hidden, mlp('weight'), rowsBy(innerCut)),
      ...(config.mlp_bias === false
        ? []
        : [
            fusedRow('gateUpBias', null, mlp('bias'), { ...rowsBy(innerCut), ...mlpBias }),
            vectorRow('downBias', hidden, downName, { layers, once: true, ...mlpBias }),
          ]),
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

function facts(config: LlamaConfig): ModelFacts {
  const layer = { kind: 'kv', kvHeads: config.num_key_value_heads, headDim: config.headDim } as const;
  return {
    vocab: config.vocab_size,
    hidden: config.hidden_size,
    layers: config.num_hidden_layers,
    maxContext: config.max_position_embeddings,
    state: Array.from({ length: config.num_hidden_layers }, () => layer),
  };
}

function forward(b: Builder, config: LlamaConfig): void {
  const { rms_norm_eps: eps, headDim, num_hidden_layers: layers } = config;
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

/** Llama. */
export const llama = defineArchitecture<LlamaConfig>({
  name: 'llama',
  contractVersion,
  modelTypes: ['llama'],
  ggufArchitectures: ['llama'],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig,
  ggufConfig,
  facts,
  weights,
  forward,
  sizes,
});
