import {
  type Cut,
  fusedRow,
  inverseFrequencies,
  matrixRow,
  moeRows,
  type Segment,
  type Source,
  vectorRow,
  type WeightRow,
  type WeightsTable,
} from '@helexa/graph';
import type { HybridConfig } from './config.js';
import { deltaNetRows } from './gated-delta-net.js';

/** What tensors of a checkpoint are called, in order of preference: files of one family carry the names of another. */
export interface TensorNaming {
  /** What names of the language model begin with. */
  readonly prefixes: readonly string[];
  /** True: projections of the delta net lie together by key head; the others are looked for first when false. */
  readonly grouped: boolean;
}

/** Norms are stored around zero in safetensors; a GGUF file has the one added already. */
const plusOne = { map: (value: number) => 1 + value };

/** The weights table of a hybrid: three of four layers are a gated delta net, the others gated attention. */
export function hybridWeights(config: HybridConfig, naming: TensorNaming): WeightsTable {
  const { vocab_size: vocab, hidden_size: hidden, head_dim: headDim, intermediate_size: inner } = config;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, sparseLayers, experts } = config;
  const all = config.layerTypes.map((_, layer) => layer);
  const full = all.filter((layer) => config.layerTypes[layer] === 'full_attention');
  const linear = all.filter((layer) => config.layerTypes[layer] === 'linear_attention');
  const dense = all.filter((layer) => !sparseLayers.includes(layer));
  const vocabCut: Cut = { name: 'vocab', unit: 'tokens', count: vocab, uneven: true };
  const headsCut: Cut = { name: 'heads', unit: 'kv heads', count: kvHeads, repeats: true };
  const innerCut: Cut = { name: 'inter', unit: 'columns', count: inner ?? 1 };
  const rowsBy = (cut: Cut, layers: readonly number[]) => ({ layers, cut: { axis: 'rows', cut } }) as const;
  const colsBy = (cut: Cut, layers: readonly number[]) => ({ layers, cut: { axis: 'cols', cut } }) as const;

  const hub = (name: string, differs: Omit<Source, 'tensor'> = {}): readonly Source[] =>
    naming.prefixes.map((prefix) => ({ tensor: `${prefix}${name}`, ...differs }));
  const ofLayer = (name: string, differs?: Omit<Source, 'tensor'>) => hub(`layers.{layer}.${name}`, differs);
  const ofBlock = (name: string, differs: Omit<Source, 'tensor'> = {}): readonly Source[] => [
    { tensor: `blk.{layer}.${name}`, ...differs },
  ];
  const norm = (
    slot: string,
    length: number,
    hubName: string,
    ggufName: string,
    layers: readonly number[],
  ): WeightRow =>
    vectorRow(
      slot,
      length,
      { safetensors: ofLayer(`${hubName}.weight`, plusOne), gguf: ofBlock(`${ggufName}.weight`) },
      { layers },
    );
  const projection = (name: string, rows: number): Segment => ({
    name,
    rows,
    safetensors: ofLayer(`self_attn.${name}_proj.weight`),
    gguf: ofBlock(`attn_${name}.weight`),
  });
  // Each head of the file has its query rows, then the rows of its gate.
  const half = (name: string, start: number): Segment => {
    const differs = {
      shape: [2 * heads * headDim, hidden],
      row: (row: number) => Math.floor(row / headDim) * 2 * headDim + start + (row % headDim),
    };
    const sources = {
      safetensors: ofLayer('self_attn.q_proj.weight', differs),
      gguf: ofBlock('attn_q.weight', differs),
    };
    return { name, rows: heads * headDim, units: heads, ...sources };
  };
  const mlp = (name: string, rows: number): Segment => ({
    name,
    rows,
    safetensors: ofLayer(`mlp.${name}_proj.weight`),
    gguf: ofBlock(`ffn_${name}.weight`),
  });

  const attention =
    full.length === 0
      ? []
      : [
          vectorRow(
            'inverseFrequency',
            config.rotaryDim / 2,
            { safetensors: [], gguf: [] },
            { compute: (factors) => inverseFrequencies(config.rope, config.rotaryDim, factors) },
          ),
          fusedRow(
            'qkv',
            hidden,
            [
              half('q', 0),
              projection('k', kvHeads * headDim),
              projection('v', kvHeads * headDim),
              half('gate', headDim),
            ],
            rowsBy(headsCut, full),
          ),
          norm('qNorm', headDim, 'self_attn.q_norm', 'attn_q_norm', full),
          norm('kNorm', headDim, 'self_attn.k_norm', 'attn_k_norm', full),
          matrixRow(
            'attnOut',
            [hidden, heads * headDim],
            { safetensors: ofLayer('self_attn.o_proj.weight'), gguf: ofBlock('attn_output.weight') },
            colsBy(headsCut, full),
          ),
        ];
  const denseMlp =
    dense.length === 0
      ? []
      : [
          fusedRow('gateUp', hidden, [mlp('gate', inner!), mlp('up', inner!)], rowsBy(innerCut, dense)),
          matrixRow('down', [hidden, inner!], mlp('down', hidden), colsBy(innerCut, dense)),
        ];
  const sparseMlp = experts
    ? moeRows({
        layers: sparseLayers,
        hidden,
        experts: experts.count,
        inner: experts.inner,
        ...(experts.shared > 0 ? { shared: experts.shared } : {}),
        prefixes: naming.prefixes.map((prefix) => `${prefix}layers.{layer}.mlp`),
      })
    : [];
  const extraBlocks = Array.from({ length: config.mtp_num_hidden_layers ?? 0 }, (_, index) => all.length + index);

  return {
    rows: [
      matrixRow(
        'embed',
        [vocab, hidden],
        { safetensors: hub('embed_tokens.weight'), gguf: [{ tensor: 'token_embd.weight' }] },
        { cut: { axis: 'rows', cut: vocabCut }, lookup: true },
      ),
      norm('mixerNorm', hidden, 'input_layernorm', 'attn_norm', all),
      ...attention,
      ...(linear.length === 0 ? [] : deltaNetRows({ config, layers: linear, naming, ofLayer, ofBlock })),
      norm('mlpNorm', hidden, 'post_attention_layernorm', 'post_attention_norm', all),
      ...denseMlp,
      ...sparseMlp,
      vectorRow('finalNorm', hidden, {
        safetensors: hub('norm.weight', plusOne),
        gguf: [{ tensor: 'output_norm.weight' }],
      }),
      matrixRow(
        'head',
        [vocab, hidden],
        config.tie_word_embeddings
          ? { safetensors: [], gguf: [] }
          : { safetensors: [{ tensor: 'lm_head.weight' }], gguf: [{ tensor: 'output.weight' }] },
        { cut: { axis: 'rows', cut: vocabCut }, tie: 'embed' },
      ),
    ],
    ignored: [
      'mtp.*',
      'model.mtp.*',
      'model.visual.*',
      '*.rotary_emb.inv_freq',
      ...extraBlocks.map((block) => `blk.${block}.*`),
      ...(config.tie_word_embeddings ? ['lm_head.weight', 'output.weight'] : []),
    ],
  };
}
