import { fusedRow, matrixRow, named, vectorRow } from '../weight-rows.js';
import type { Cut, Segment, WeightRow, WeightsTable } from '../weights.js';
import type { DecoderConfig } from './decoder-config.js';
import { inverseFrequencies } from './rope.js';

/** What the tables of two decoders differ in. */
export interface DecoderTableOptions {
  /** Every query and key head has a norm. */
  readonly headNorms?: boolean;
  /** Queries, keys and values have biases, the output has none, whatever `attention_bias` says. */
  readonly inputBiases?: boolean;
  /** A GGUF file keeps the two columns of a rotated pair side by side: its rows of `q` and `k` are put back in order. */
  readonly pairedInGguf?: boolean;
}

const layerTensor = (hub: string, gguf: string, differs = {}): Pick<Segment, 'safetensors' | 'gguf'> =>
  named(`model.layers.{layer}.${hub}`, `blk.{layer}.${gguf}`, differs);

/** All layers of a model. */
export const layersOf = (config: DecoderConfig): readonly number[] => [...config.windows.keys()];

/** The table that `decoderForward` reads, given the rows of its feed-forward networks. */
export function decoderTable(
  config: DecoderConfig,
  feedForward: readonly WeightRow[],
  options: DecoderTableOptions = {},
): WeightsTable {
  const { vocab_size: vocab, hidden_size: hidden, head_dim: headDim, tie_word_embeddings: tied } = config;
  const layers = layersOf(config);
  const vocabCut: Cut = { name: 'vocab', unit: 'tokens', count: vocab, uneven: true };
  const norm = (slot: string, length: number, hub: string, gguf: string) =>
    vectorRow(slot, length, layerTensor(`${hub}.weight`, `${gguf}.weight`), { layers });
  return {
    rows: [
      matrixRow('embed', [vocab, hidden], named('model.embed_tokens.weight', 'token_embd.weight'), {
        cut: { axis: 'rows', cut: vocabCut },
        lookup: true,
      }),
      vectorRow(
        'inverseFrequency',
        headDim / 2,
        { safetensors: [], gguf: [{ tensor: 'rope_freqs.weight' }] },
        { compute: (factors) => inverseFrequencies(config.rope, headDim, factors) },
      ),
      norm('attnNorm', hidden, 'input_layernorm', 'attn_norm'),
      ...attentionRows(config, options),
      ...(options.headNorms
        ? [
            norm('qNorm', headDim, 'self_attn.q_norm', 'attn_q_norm'),
            norm('kNorm', headDim, 'self_attn.k_norm', 'attn_k_norm'),
          ]
        : []),
      norm('mlpNorm', hidden, 'post_attention_layernorm', 'ffn_norm'),
      ...feedForward,
      vectorRow('finalNorm', hidden, named('model.norm.weight', 'output_norm.weight')),
      matrixRow(
        'head',
        [vocab, hidden],
        tied ? { safetensors: [], gguf: [] } : named('lm_head.weight', 'output.weight'),
        { cut: { axis: 'rows', cut: vocabCut }, tie: 'embed' },
      ),
    ],
    ignored: ['*.rotary_emb.inv_freq', ...(tied ? ['lm_head.weight', 'output.weight'] : [])],
  };
}

function attentionRows(config: DecoderConfig, options: DecoderTableOptions): readonly WeightRow[] {
  const { hidden_size: hidden, head_dim: headDim, attention_bias: stated } = config;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const layers = layersOf(config);
  const cut: Cut = { name: 'heads', unit: 'kv heads', count: kvHeads, repeats: true };
  const rowsByHeads = { layers, cut: { axis: 'rows', cut } } as const;
  const paired = options.pairedInGguf ? { row: pairedRow(headDim) } : {};
  const projections = (kind: 'weight' | 'bias') =>
    ['q', 'k', 'v'].map((name) => ({
      name,
      rows: (name === 'q' ? heads : kvHeads) * headDim,
      ...(name === 'q' ? { units: heads } : {}),
      ...layerTensor(`self_attn.${name}_proj.${kind}`, `attn_${name}.${kind}`, name === 'v' ? {} : paired),
    }));
  // A GGUF file does not say whether it has biases (null): those it has are used.
  const bias = { optional: stated === null && !options.inputBiases };
  const outBias = layerTensor('self_attn.o_proj.bias', 'attn_output.bias');
  return [
    fusedRow('qkv', hidden, projections('weight'), rowsByHeads),
    ...(options.inputBiases || stated !== false
      ? [fusedRow('qkvBias', null, projections('bias'), { ...rowsByHeads, ...bias })]
      : []),
    ...(!options.inputBiases && stated !== false
      ? [vectorRow('attnOutBias', hidden, outBias, { layers, once: true, ...bias })]
      : []),
    matrixRow('attnOut', [hidden, heads * headDim], layerTensor('self_attn.o_proj.weight', 'attn_output.weight'), {
      layers,
      cut: { axis: 'cols', cut },
    }),
  ];
}

/** Rows of the SwiGLU of dense layers. */
export function gatedMlpRows(config: DecoderConfig, layers = layersOf(config)): readonly WeightRow[] {
  const { hidden_size: hidden, intermediate_size: inner, mlp_bias: stated } = config;
  const cut: Cut = { name: 'inter', unit: 'columns', count: inner };
  const rowsByColumns = { layers, cut: { axis: 'rows', cut } } as const;
  const projections = (kind: 'weight' | 'bias') =>
    ['gate', 'up'].map((name) => ({
      name,
      rows: inner,
      ...layerTensor(`mlp.${name}_proj.${kind}`, `ffn_${name}.${kind}`),
    }));
  const bias = { optional: stated === null };
  const downBias = layerTensor('mlp.down_proj.bias', 'ffn_down.bias');
  return [
    fusedRow('gateUp', hidden, projections('weight'), rowsByColumns),
    ...(stated === false ? [] : [fusedRow('gateUpBias', null, projections('bias'), { ...rowsByColumns, ...bias })]),
    matrixRow('down', [hidden, inner], layerTensor('mlp.down_proj.weight', 'ffn_down.weight'), {
      layers,
      cut: { axis: 'cols', cut },
    }),
    ...(stated === false ? [] : [vectorRow('downBias', hidden, downBias, { layers, once: true, ...bias })]),
  ];
}

/** Row of a GGUF file that holds a row of `q` or `k` when the two columns of a rotated pair lie side by side there. */
const pairedRow =
  (headDim: number) =>
  (row: number): number => {
    const within = row % headDim;
    const half = headDim / 2;
    return row - within + 2 * (within % half) + Math.floor(within / half);
  };
