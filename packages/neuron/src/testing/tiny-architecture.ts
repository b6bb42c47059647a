import { fileURLToPath } from 'node:url';
import {
  attentionBlock,
  attentionFactorOf,
  type Cut,
  contractVersion,
  defineArchitecture,
  fusedRow,
  gatedMlpBlock,
  inverseFrequencies,
  matrixRow,
  named,
  parseModelConfig,
  parseRope,
  vectorRow,
} from '@helexa/graph';
import { z } from 'zod';

const configSchema = z.object({
  hidden_size: z.int(),
  intermediate_size: z.int(),
  num_hidden_layers: z.int(),
  num_attention_heads: z.int(),
  num_key_value_heads: z.int(),
  head_dim: z.int(),
  vocab_size: z.int(),
  max_position_embeddings: z.int(),
  rms_norm_eps: z.number(),
  rope_theta: z.number(),
});
type TinyConfig = z.output<typeof configSchema>;

/** Folder of the tiny checkpoint that tests run. */
export const tinyModelPath = fileURLToPath(new URL('../../fixtures/tiny', import.meta.url));

/** The family of the tiny checkpoint: enough of an architecture to test a daemon that knows none. */
export const tinyArchitecture = defineArchitecture<TinyConfig>({
  name: 'tiny',
  contractVersion,
  modelTypes: ['tiny'],
  ggufArchitectures: [],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig: (json, file) => parseModelConfig(configSchema, json, file),
  ggufConfig: () => ({}),
  facts: (config) => ({
    vocab: config.vocab_size,
    hidden: config.hidden_size,
    layers: config.num_hidden_layers,
    maxContext: config.max_position_embeddings,
    state: Array.from({ length: config.num_hidden_layers }, () => ({
      kind: 'kv' as const,
      kvHeads: config.num_key_value_heads,
      headDim: config.head_dim,
    })),
  }),
  weights(config) {
    const { hidden_size: hidden, intermediate_size: inner, head_dim: headDim, vocab_size: vocab } = config;
    const { num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
    const layers = Array.from({ length: config.num_hidden_layers }, (_, layer) => layer);
    const vocabCut: Cut = { name: 'vocab', unit: 'tokens', count: vocab, uneven: true };
    const headsCut: Cut = { name: 'heads', unit: 'kv heads', count: kvHeads, repeats: true };
    const innerCut: Cut = { name: 'inter', unit: 'columns', count: inner };
    const name = (tensor: string) => named(`model.layers.{layer}.${tensor}.weight`, '');
    const norm = (slot: string, length: number, tensor: string) => vectorRow(slot, length, name(tensor), { layers });
    const rows = (cut: Cut) => ({ layers, cut: { axis: 'rows', cut } }) as const;
    const cols = (cut: Cut) => ({ layers, cut: { axis: 'cols', cut } }) as const;
    const qkv = ['q', 'k', 'v'].map((part) => ({
      name: part,
      rows: (part === 'q' ? heads : kvHeads) * headDim,
      ...(part === 'q' ? { units: heads } : {}),
      ...name(`self_attn.${part}_proj`),
    }));
    const gateUp = ['gate', 'up'].map((part) => ({ name: part, rows: inner, ...name(`mlp.${part}_proj`) }));
    const computed = { safetensors: [], gguf: [] };
    return {
      rows: [
        matrixRow('embed', [vocab, hidden], named('model.embed_tokens.weight', ''), {
          cut: { axis: 'rows', cut: vocabCut },
          lookup: true,
        }),
        vectorRow('inverseFrequency', headDim / 2, computed, {
          compute: (factors) => inverseFrequencies(parseRope(config, 'config.json'), headDim, factors),
        }),
        norm('attnNorm', hidden, 'input_layernorm'),
        fusedRow('qkv', hidden, qkv, rows(headsCut)),
        norm('qNorm', headDim, 'self_attn.q_norm'),
        norm('kNorm', headDim, 'self_attn.k_norm'),
        matrixRow('attnOut', [hidden, heads * headDim], name('self_attn.o_proj'), cols(headsCut)),
        norm('mlpNorm', hidden, 'post_attention_layernorm'),
        fusedRow('gateUp', hidden, gateUp, rows(innerCut)),
        matrixRow('down', [hidden, inner], name('mlp.down_proj'), cols(innerCut)),
        vectorRow('finalNorm', hidden, named('model.norm.weight', '')),
        matrixRow('head', [vocab, hidden], computed, { cut: { axis: 'rows', cut: vocabCut }, tie: 'embed' }),
      ],
      ignored: ['lm_head.weight'],
    };
  },
  forward(b, config) {
    const { rms_norm_eps: eps, head_dim: headDim } = config;
    const rotary = {
      headDim,
      rotaryDim: headDim,
      attentionFactor: attentionFactorOf(parseRope(config, 'config.json')),
    };
    let x = b.embed(b.weight('embed'));
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      b.layer(layer, () => {
        x = b.add(x, attentionBlock(b, b.rmsNorm(x, b.weight('attnNorm'), eps), { rotary, eps }));
        x = b.add(x, gatedMlpBlock(b, b.rmsNorm(x, b.weight('mlpNorm'), eps)));
      });
    }
    const last = b.rmsNorm(b.gatherRows(x), b.weight('finalNorm'), eps);
    b.sample(b.linear(last, b.weight('head')));
  },
  sizes: [],
});
