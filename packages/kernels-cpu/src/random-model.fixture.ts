import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Checkpoint, WeightFormat } from '@helexa/core';
import { seededRandom } from '@helexa/core/testing';
import {
  attentionBlock,
  type Backend,
  type Builder,
  type Compiled,
  type Cut,
  compile,
  contractVersion,
  type DeviceModel,
  defineArchitecture,
  fusedRow,
  gatedMlpBlock,
  type KvFormat,
  matrixRow,
  moeBlock,
  moeRows,
  named,
  type Program,
  paperCheckpoint,
  quantise,
  type StepLimits,
  sampled,
  type Value,
  vectorRow,
  type WeightRow,
} from '@helexa/graph';
import { type Chunk, fillDevice, writeChunks } from '@helexa/graph/conformance';

/** Sizes of a small model with every op that a family uses. */
export interface RandomModelConfig {
  readonly vocab: number;
  readonly hidden: number;
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window?: number;
  readonly format: WeightFormat;
  /** Its feed-forward networks are this many experts and a shared one, each `inner` wide. */
  readonly experts?: { readonly count: number; readonly chosen: number };
  /** After attention every layer has a delta net, whose keys and values are this wide. */
  readonly delta?: { readonly keyHeads: number; readonly valueHeads: number; readonly width: number };
}

export const smallModel: RandomModelConfig = {
  vocab: 320,
  hidden: 256,
  inner: 512,
  layers: 2,
  heads: 8,
  kvHeads: 4,
  headDim: 32,
  format: 'Q8_0',
};

/** The same with experts. */
export const sparseModel: RandomModelConfig = { ...smallModel, inner: 256, experts: { count: 6, chosen: 2 } };

/** The same with recurrent state. */
export const recurrentModel: RandomModelConfig = {
  ...smallModel,
  inner: 256,
  delta: { keyHeads: 2, valueHeads: 6, width: 32 },
};

const eps = 1e-6;
const taps = 4;
const name = (tensor: string) => named(`layers.{layer}.${tensor}`, '');
const computed = { safetensors: [], gguf: [] };

/** A family with fused projections, norms of heads, rotary positions, and a gated MLP or experts. */
export const randomArchitecture = defineArchitecture<RandomModelConfig>({
  name: 'random',
  contractVersion,
  modelTypes: ['random'],
  ggufArchitectures: [],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig: (json) => json as RandomModelConfig,
  ggufConfig: () => ({}),
  facts: ({ vocab, hidden, layers, kvHeads, headDim }) => ({
    vocab,
    hidden,
    layers,
    maxContext: 1 << 20,
    state: Array.from({ length: layers }, () => ({ kind: 'kv' as const, kvHeads, headDim })),
  }),
  weights({ vocab, hidden, inner, heads, kvHeads, headDim, experts, delta, ...config }) {
    const layers = Array.from({ length: config.layers }, (_, layer) => layer);
    const vocabCut: Cut = { name: 'vocab', unit: 'tokens', count: vocab, uneven: true };
    const headsCut: Cut = { name: 'heads', unit: 'kv heads', count: kvHeads, repeats: true };
    const innerCut: Cut = { name: 'inter', unit: 'columns', count: inner };
    const rows = (cut: Cut) => ({ layers, cut: { axis: 'rows', cut } }) as const;
    const cols = (cut: Cut) => ({ layers, cut: { axis: 'cols', cut } }) as const;
    const norm = (slot: string, length: number) => vectorRow(slot, length, name(slot), { layers });
    return {
      rows: [
        matrixRow('embed', [vocab, hidden], named('embed', ''), {
          cut: { axis: 'rows', cut: vocabCut },
          lookup: true,
        }),
        vectorRow('inverseFrequency', headDim / 2, computed, {
          compute: () => Float32Array.from({ length: headDim / 2 }, (_, i) => 10_000 ** ((-2 * i) / headDim)),
        }),
        norm('attnNorm', hidden),
        fusedRow(
          'qkv',
          hidden,
          [
            { name: 'q', rows: heads * headDim, units: heads, ...name('q') },
            { name: 'k', rows: kvHeads * headDim, ...name('k') },
            { name: 'v', rows: kvHeads * headDim, ...name('v') },
          ],
          rows(headsCut),
        ),
        norm('qNorm', headDim),
        norm('kNorm', headDim),
        matrixRow('attnOut', [hidden, heads * headDim], name('attnOut'), cols(headsCut)),
        ...(delta ? deltaRows(layers, hidden, delta) : []),
        norm('mlpNorm', hidden),
        ...(experts
          ? moeRows({ layers, hidden, experts: experts.count, inner, shared: inner, prefixes: ['layers.{layer}.mlp'] })
          : [
              fusedRow(
                'gateUp',
                hidden,
                ['gate', 'up'].map((part) => ({ name: part, rows: inner, ...name(part) })),
                rows(innerCut),
              ),
              matrixRow('down', [hidden, inner], name('down'), cols(innerCut)),
            ]),
        vectorRow('finalNorm', hidden, named('finalNorm', '')),
        matrixRow('head', [vocab, hidden], named('head', ''), { cut: { axis: 'rows', cut: vocabCut } }),
      ],
      ignored: [],
    };
  },
  forward(b, { layers, headDim, window, experts, delta }) {
    const rotary = { headDim, rotaryDim: headDim, attentionFactor: 1 };
    const options = { rotary, eps, ...(window === undefined ? {} : { window }) };
    let x = b.embed(b.weight('embed'));
    for (let layer = 0; layer < layers; layer++) {
      b.layer(layer, () => {
        x = b.add(x, attentionBlock(b, b.rmsNorm(x, b.weight('attnNorm'), eps), options));
        if (delta) x = b.add(x, deltaNet(b, b.rmsNorm(x, b.weight('deltaInNorm'), eps), delta));
        const normed = b.rmsNorm(x, b.weight('mlpNorm'), eps);
        const mixed = experts
          ? moeBlock(b, normed, { experts: experts.count, chosen: experts.chosen, renormalise: true })
          : gatedMlpBlock(b, normed);
        x = b.add(x, mixed);
      });
    }
    const last = b.rmsNorm(b.gatherRows(x), b.weight('finalNorm'), eps);
    b.sample(b.linear(last, b.weight('head')));
  },
  sizes: [],
});

type DeltaSizes = NonNullable<RandomModelConfig['delta']>;

function deltaRows(layers: readonly number[], hidden: number, sizes: DeltaSizes): readonly WeightRow[] {
  const { keyHeads, valueHeads, width } = sizes;
  const cut: Cut = { name: 'delta', unit: 'key heads', count: keyHeads };
  const byRows = { layers, cut: { axis: 'rows', cut } } as const;
  const segments = (suffix: string, rows: Readonly<Record<string, number>>) =>
    Object.entries(rows).map(([part, count]) => ({ name: part, rows: count, ...name(`delta.${part}${suffix}`) }));
  const regions = { q: keyHeads * width, k: keyHeads * width, v: valueHeads * width };
  const decay = [{ tensor: 'layers.{layer}.delta.decay', map: (value: number) => -value / 8 }];
  return [
    vectorRow('deltaInNorm', hidden, name('delta.norm'), { layers }),
    fusedRow('deltaQkv', hidden, segments('', regions), byRows),
    fusedRow('conv', taps, segments('.conv', regions), { ...byRows, exact: true }),
    fusedRow('deltaZba', hidden, segments('', { z: valueHeads * width, b: valueHeads, a: valueHeads }), byRows),
    vectorRow('decay', valueHeads, { safetensors: decay, gguf: [] }, byRows),
    vectorRow('dtBias', valueHeads, name('delta.dt'), byRows),
    vectorRow('deltaNorm', width, name('delta.outNorm'), { layers }),
    matrixRow('deltaOut', [hidden, valueHeads * width], name('delta.out'), { layers, cut: { axis: 'cols', cut } }),
  ];
}

function deltaNet(b: Builder, x: Value, { width }: DeltaSizes): Value {
  const qkv = b.conv1dSilu(b.linear(x, b.weight('deltaQkv')), b.weight('conv'));
  const zba = b.linear(x, b.weight('deltaZba'));
  const { beta, g } = b.deltaGates(b.segment(zba, 1), b.segment(zba, 2), b.weight('decay'), b.weight('dtBias'));
  const y = b.gatedDelta(qkv, beta, g, { keyDim: width, valueDim: width, tiled: false });
  return b.linear(b.rmsNormGated(y, b.segment(zba, 0), b.weight('deltaNorm'), width, eps), b.weight('deltaOut'));
}

/** Random weights of this config in a file of the system's temporary folder, which `dispose` removes. */
export function randomCheckpoint(config: RandomModelConfig): { checkpoint: Checkpoint; dispose: () => void } {
  const paper = paperCheckpoint(randomArchitecture.weights(config), { config, format: () => config.format });
  const folder = mkdtempSync(join(tmpdir(), 'kernels-cpu-'));
  const file = join(folder, 'weights.bin');
  const handle = openSync(file, 'w');
  const tensors = new Map(
    [...paper.tensors.values()].map((entry, index) => {
      const next = seededRandom(index + 1);
      const elements = entry.shape.reduce((product, size) => product * size, 1);
      const isVector = entry.shape.length === 1;
      const scale = isVector ? 0.2 : 1.7 / Math.sqrt(entry.shape[1]!);
      const values = Float32Array.from({ length: elements }, () => (isVector ? 1 : 0) + scale * (2 * next() - 1));
      writeSync(handle, quantise(entry.format as WeightFormat, values), 0, entry.end - entry.begin, entry.begin);
      return [entry.name, { ...entry, file }] as const;
    }),
  );
  closeSync(handle);
  return {
    checkpoint: { ...paper, path: file, tensors },
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export const testLimits = (vocab: number, change: Partial<StepLimits> = {}): StepLimits => ({
  maxRows: 96,
  maxSequences: 6,
  maxSampled: 96,
  maxContext: 192,
  pages: 24,
  vocab,
  maxBias: 0,
  maxTopLogprobs: 0,
  exposeLogits: true,
  ...change,
});

/** A loaded random model, driven step by step. */
export class RandomModel {
  readonly device: DeviceModel;

  constructor(device: DeviceModel) {
    this.device = device;
  }

  static async load(options: {
    readonly config: RandomModelConfig;
    readonly checkpoint: Checkpoint;
    readonly backend: Backend;
    readonly ranks?: number;
    readonly threads?: number;
    readonly kvFormat?: KvFormat;
    readonly limits?: Partial<StepLimits>;
    /** Gives the weights; absent: one tensor after another, read here. */
    readonly fill?: (device: DeviceModel, compiled: Compiled) => Promise<unknown>;
    /** Spoils the programs. */
    readonly change?: (program: Program) => Program;
  }): Promise<RandomModel> {
    const { config, checkpoint, backend, ranks = 1, threads, kvFormat = 'F16', change = (same) => same } = options;
    const limits = testLimits(config.vocab, options.limits);
    const compiled = compile({
      architecture: randomArchitecture,
      config,
      checkpoint,
      ranks,
      backend,
      limits,
      kvFormat,
    });
    const device = await backend.load({
      programs: compiled.programs.map(change),
      devices: compiled.programs.map(() => 0),
      limits,
      kvFormat,
      ...(threads === undefined ? {} : { threads }),
    });
    await (options.fill ?? fillDevice)(device, compiled);
    return new RandomModel(device);
  }

  /** Writes a step that samples the last row of each chunk, or every row. */
  write(chunks: readonly Chunk[], everyRow = false): number {
    return writeChunks(this.device, chunks, everyRow ? 'every' : 'last');
  }

  /** Logits of the sampled rows of one step. */
  async step(chunks: readonly Chunk[], everyRow = false): Promise<Float32Array[]> {
    const samples = this.write(chunks, everyRow);
    await this.device.step();
    const { layout, buffer } = this.device;
    const { vocab } = layout.limits;
    const f32 = new Float32Array(buffer);
    return Array.from({ length: samples }, (_, i) =>
      f32.slice(layout.logits + i * vocab, layout.logits + (i + 1) * vocab),
    );
  }

  token(sample: number): number {
    const { layout, buffer } = this.device;
    return new Int32Array(buffer)[layout.output + sample * sampled.size + sampled.token]!;
  }

  /** Logits of every row of a sequence from its start, in chunks of this many rows. */
  async prefill(tokens: readonly number[], chunk: number, slot = 0): Promise<Float32Array[]> {
    const logits: Float32Array[] = [];
    for (let past = 0; past < tokens.length; past += chunk)
      logits.push(...(await this.step([{ slot, tokens: tokens.slice(past, past + chunk), past }], true)));
    return logits;
  }

  dispose(): Promise<void> {
    return this.device.dispose();
  }
}

/** `count` tokens of a vocabulary, always the same. */
export function randomTokens(count: number, vocab: number, seed = 7): number[] {
  const next = seededRandom(seed);
  return Array.from({ length: count }, () => Math.floor(next() * vocab));
}

/** Largest difference of any logit, as a share of the root mean square of the wanted ones. */
export function relativeDistance(actual: readonly Float32Array[], wanted: readonly Float32Array[]): number {
  if (actual.length !== wanted.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  let squares = 0;
  let count = 0;
  for (const [row, values] of wanted.entries()) {
    for (const [column, value] of values.entries()) {
      squares += value * value;
      count++;
      const apart = Math.abs(value - actual[row]![column]!);
      worst = Number.isNaN(apart) ? Number.POSITIVE_INFINITY : Math.max(worst, apart);
    }
  }
  return worst / Math.sqrt(squares / count);
}
