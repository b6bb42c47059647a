import type { WeightFormat } from '@helexa/core';
import { type Architecture, contractVersion, defineArchitecture } from '../architecture.js';
import { nullBackend } from '../backends/null.js';
import { attentionBlock } from '../blocks/attention.js';
import { gatedMlpBlock } from '../blocks/gated-mlp.js';
import type { Builder } from '../builder.js';
import { type CompileOptions, compileFromConfig } from '../compile.js';
import type { StepLimits } from '../step.js';
import { fusedRow, matrixRow, named, vectorRow } from '../weight-rows.js';
import type { Cut, WeightsTable } from '../weights.js';

/** A two-layer decoder with every kind of row, for tests of the passes. Nothing like it is published. */
export interface TinyConfig {
  readonly heads: number;
  readonly kvHeads: number;
  readonly inner: number;
  readonly vocab: number;
  readonly bias: boolean;
  readonly norms: boolean;
}

export const tinyConfig: TinyConfig = { heads: 4, kvHeads: 2, inner: 96, vocab: 50, bias: false, norms: true };

export const tinyLimits: StepLimits = {
  maxRows: 8,
  maxSequences: 2,
  maxSampled: 2,
  maxContext: 64,
  pages: 2,
  vocab: tinyConfig.vocab,
  maxBias: 0,
  maxTopLogprobs: 0,
  exposeLogits: false,
};

const headDim = 16;
const hidden = 64;
const layers = [0, 1];
const eps = 1e-6;

export function tinyWeights(config: TinyConfig): WeightsTable {
  const vocab: Cut = { name: 'vocab', unit: 'tokens', count: config.vocab, uneven: true };
  const heads: Cut = { name: 'heads', unit: 'kv heads', count: config.kvHeads, repeats: true };
  const inner: Cut = { name: 'inter', unit: 'columns', count: config.inner };
  const own = (name: string) => named(`l.{layer}.${name}`, `blk.{layer}.${name}`);
  const rowsBy = (cut: Cut) => ({ layers, cut: { axis: 'rows', cut } }) as const;
  const colsBy = (cut: Cut) => ({ layers, cut: { axis: 'cols', cut } }) as const;
  const qkv = (kind: string) =>
    ['q', 'k', 'v'].map((name) => ({
      name,
      rows: (name === 'q' ? config.heads : config.kvHeads) * headDim,
      ...(name === 'q' ? { units: config.heads } : {}),
      ...own(`${name}.${kind}`),
    }));
  const norms = ['qNorm', 'kNorm'].map((slot) => vectorRow(slot, headDim, own(slot), { layers }));
  const biases = [
    fusedRow('qkvBias', null, qkv('bias'), rowsBy(heads)),
    vectorRow('attnOutBias', hidden, own('o.bias'), { layers, once: true }),
  ];
  return {
    rows: [
      matrixRow('embed', [config.vocab, hidden], named('embed', 'embed'), {
        cut: { axis: 'rows', cut: vocab },
        lookup: true,
      }),
      vectorRow(
        'inverseFrequency',
        headDim / 2,
        { safetensors: [], gguf: [] },
        { compute: () => new Float32Array(headDim / 2) },
      ),
      vectorRow('attnNorm', hidden, own('attnNorm'), { layers }),
      fusedRow('qkv', hidden, qkv('weight'), rowsBy(heads)),
      ...(config.bias ? biases : []),
      ...(config.norms ? norms : []),
      matrixRow('attnOut', [hidden, config.heads * headDim], own('o.weight'), colsBy(heads)),
      vectorRow('mlpNorm', hidden, own('mlpNorm'), { layers }),
      fusedRow(
        'gateUp',
        hidden,
        ['gate', 'up'].map((name) => ({ name, rows: config.inner, ...own(name) })),
        rowsBy(inner),
      ),
      matrixRow('down', [hidden, config.inner], own('down'), colsBy(inner)),
      vectorRow('finalNorm', hidden, named('norm', 'norm')),
      matrixRow('head', [config.vocab, hidden], named('head', 'head'), {
        cut: { axis: 'rows', cut: vocab },
        tie: 'embed',
      }),
    ],
    ignored: ['*.inv_freq'],
  };
}

export function tinyForward(b: Builder): void {
  const rotary = { headDim, rotaryDim: headDim, attentionFactor: 1 };
  let x = b.embed(b.weight('embed'));
  for (const layer of layers)
    b.layer(layer, () => {
      x = b.add(x, attentionBlock(b, b.rmsNorm(x, b.weight('attnNorm'), eps), { rotary, eps }));
      x = b.add(x, gatedMlpBlock(b, b.rmsNorm(x, b.weight('mlpNorm'), eps)));
    });
  b.sample(b.linear(b.rmsNorm(b.gatherRows(x), b.weight('finalNorm'), eps), b.weight('head')));
}

export const tiny: Architecture = defineArchitecture<TinyConfig>({
  name: 'tiny',
  contractVersion,
  modelTypes: ['tiny'],
  ggufArchitectures: ['tiny'],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig: (json) => json as TinyConfig,
  ggufConfig: () => tinyConfig,
  facts: (config) => ({
    vocab: config.vocab,
    hidden,
    layers: layers.length,
    maxContext: 64,
    state: layers.map(() => ({ kind: 'kv', kvHeads: config.kvHeads, headDim })),
  }),
  weights: tinyWeights,
  forward: tinyForward,
  sizes: [],
});

/** Compiles the tiny model for a null backend. */
export function compileTiny(
  changes: Partial<Omit<CompileOptions, 'config' | 'checkpoint'>> & {
    readonly config?: Partial<TinyConfig>;
    readonly format?: (slot: string) => WeightFormat;
  } = {},
) {
  const config = { ...tinyConfig, ...changes.config };
  return compileFromConfig({
    architecture: tiny,
    ranks: 1,
    backend: nullBackend(),
    limits: { ...tinyLimits, vocab: config.vocab },
    format: () => 'BF16',
    ...changes,
    config,
  });
}
