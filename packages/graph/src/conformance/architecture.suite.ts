import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Checkpoint,
  CortexError,
  openCheckpoint,
  type QuantFormat,
  type TensorEntry,
  type WeightFormat,
} from '@helexa/core';
import type { Architecture } from '../architecture.js';
import { nullBackend } from '../backends/null.js';
import { referenceBackend } from '../backends/reference.js';
import type { ReferenceOverrides } from '../backends/reference-rank.js';
import { compileFromConfig } from '../compile.js';
import type { StepLimits } from '../step.js';
import type { Mutation } from './mutations.js';
import { crossesPage, largestDifference, ScriptedModel } from './scripted-model.js';

/** What the suite needs of a test runner: ava's `test` and `t` fit. */
export interface SuiteAssertions {
  true(actual: unknown, message?: string): void;
  deepEqual(actual: unknown, expected: unknown, message?: string): void;
  fail(message?: string): void;
}
export type SuiteTest = (title: string, body: (t: SuiteAssertions) => Promise<void>) => void;

export interface ArchitectureSuiteOptions {
  readonly architecture: Architecture;
  /** Folder with a tiny checkpoint and `expected/cases.json`, computed by an independent implementation. */
  readonly fixture: string;
  /** Changes of config.json that must be refused, and a word that the refusal must hold. */
  readonly refused: readonly { readonly change: Readonly<Record<string, unknown>>; readonly names: string }[];
  readonly mutations: readonly Mutation[];
  /** Rank counts beyond 1 that must give the same answer; 2 when absent. */
  readonly ranks?: readonly number[];
  /** Rank counts at which every rank's share is whole blocks of Q8_0; none when absent. */
  readonly quantisedRanks?: readonly number[];
}

/** One case of `expected/cases.json`: token ids with the logits of every position, the greedy continuation, or both. */
interface GoldenCase {
  readonly name: string;
  readonly ids: readonly number[];
  /** File of float32 values, positions x vocabulary. */
  readonly logits?: string;
  readonly greedy?: readonly number[];
}

/** The golden values are computed in float32, these in float64: rounding reaches 1e-5. Each mutation must exceed it by far. */
const goldenBound = 2e-4;
const mutationBound = 100 * goldenBound;
/** Float64 throughout: two orders of the same sums differ far less; a missing addend moves logits by over 0.1. */
const sameBound = 1e-5;

/** Fewer would leave a part of an architecture that nothing proves to be read. */
const fewestMutations = 8;

const format = (): WeightFormat => 'BF16';

const paperLimits: Omit<StepLimits, 'vocab'> = {
  maxRows: 64,
  maxSequences: 4,
  maxSampled: 4,
  maxContext: 1024,
  pages: 64,
  maxBias: 0,
  maxTopLogprobs: 0,
  exposeLogits: false,
};

/** What every architecture is held to, on the reference backend, with a tiny checkpoint. */
export function architectureSuite(test: SuiteTest, options: ArchitectureSuiteOptions): void {
  const { architecture, fixture, refused, mutations, ranks = [2], quantisedRanks = [] } = options;
  const { name } = architecture;
  const open = async () => {
    const checkpoint = await openCheckpoint(fixture);
    return { checkpoint, config: configOf(architecture, checkpoint) };
  };
  const load = async (
    changes: {
      ranks?: number;
      plain?: boolean;
      of?: Architecture;
      overrides?: ReferenceOverrides;
      quant?: QuantFormat;
    } = {},
  ) => {
    const { checkpoint } = await open();
    const subject = changes.of ?? architecture;
    const { overrides = {} } = changes;
    const quant = changes.quant ? { quant: changes.quant } : {};
    const backend = referenceBackend({ overrides, ...(changes.plain ? { fusions: [] } : {}) });
    const config = configOf(subject, checkpoint);
    return ScriptedModel.load({
      architecture: subject,
      config,
      checkpoint,
      backend,
      ranks: changes.ranks ?? 1,
      ...quant,
    });
  };

  test(`${name} gives the golden logits, fused and plain`, async (t) => {
    for (const plain of [false, true]) {
      const model = await load({ plain });
      for (const golden of await goldenCases(fixture)) {
        if (golden.logits) {
          const difference = largestDifference(await model.prefill(golden.ids), golden.logits);
          t.true(difference <= goldenBound, `${golden.name}: ${difference} (plain ${plain})`);
        }
        if (golden.greedy)
          t.deepEqual(await model.greedy(golden.ids, golden.greedy.length), golden.greedy, golden.name);
      }
      await model.dispose();
    }
  });

  test(`${name} gives the same logits in one piece, in chunks and token by token`, async (t) => {
    const model = await load();
    const { ids } = await longestCase(fixture);
    t.true(crossesPage(ids), 'the longest case must cross a page');
    const whole = await model.prefill(ids);
    for (const chunks of [[1], [7, 40, 3, 64], [64, 1]]) {
      const difference = largestDifference(whole, await model.prefill(ids, chunks));
      t.true(difference <= sameBound, `chunks of ${chunks}: ${difference}`);
    }
    await model.step([{ slot: 0, tokens: ids.slice(0, 9), past: 0 }]);
    const { logits } = await model.step([{ slot: 0, tokens: ids.slice(9), past: 9, shift: 1 }]);
    const shifted = largestDifference(whole.slice(9), logits);
    t.true(shifted > 100 * sameBound, `positions one off must show: ${shifted}`);
    await model.dispose();
  });

  test(`${name} gives a sequence the same logits alone and in a batch`, async (t) => {
    const model = await load();
    const { ids } = await longestCase(fixture);
    const other = [...ids].reverse().slice(0, 20);
    const first = await model.prefill(ids.slice(0, 30));
    const second = await model.prefill(other);
    await model.step([{ slot: 1, tokens: other.slice(0, 6), past: 0 }]);
    const batch = await model.step([
      { slot: 2, tokens: ids.slice(0, 30), past: 0 },
      { slot: 1, tokens: other.slice(6), past: 6 },
    ]);
    const difference = largestDifference([...first, ...second.slice(6)], batch.logits);
    t.true(difference <= sameBound, `${difference}`);
    await model.dispose();
  });

  for (const count of ranks)
    test(`${name} gives the same logits over ${count} ranks as over one`, async (t) => {
      const { ids } = await longestCase(fixture);
      const one = await load();
      const many = await load({ ranks: count });
      const difference = largestDifference(await one.prefill(ids), await many.prefill(ids));
      t.true(difference <= sameBound, `${difference}`);
      await one.dispose();
      await many.dispose();
    });

  for (const count of quantisedRanks)
    test(`${name} quantised by each of ${count} ranks gives the same logits as quantised whole`, async (t) => {
      const { ids } = await longestCase(fixture);
      const plain = await load();
      const one = await load({ quant: 'Q8_0' });
      const many = await load({ quant: 'Q8_0', ranks: count });
      const wanted = await one.prefill(ids);
      const difference = largestDifference(wanted, await many.prefill(ids));
      t.true(difference <= sameBound, `${difference}`);
      // Eight bits a weight show, and not by much.
      const rounding = largestDifference(wanted, await plain.prefill(ids));
      t.true(rounding > 100 * sameBound, `${rounding}`);
      t.true(one.compiled.plan.ranks[0]!.weightBytes < plain.compiled.plan.ranks[0]!.weightBytes);
      for (const model of [plain, one, many]) await model.dispose();
    });

  test(`${name} plans the memory that its programs and weights take`, async (t) => {
    for (const count of [1, ...ranks]) {
      const model = await load({ ranks: count });
      const { compiled, uploaded } = model;
      t.deepEqual(
        compiled.plan.ranks.map((rank) => rank.weightBytes),
        uploaded,
      );
      t.deepEqual(
        compiled.plan.ranks.map((rank) => rank.activationBytes),
        compiled.programs.map((program) => program.arenaElements * 4),
      );
      const { state } = compiled.facts;
      const layersOf = (kind: (typeof state)[number]['kind']) => state.filter((layer) => layer.kind === kind).length;
      t.true(compiled.programs.every((program) => program.kv.length === layersOf('kv')));
      t.true(compiled.programs.every((program) => program.state.length === layersOf('recurrent')));
      t.deepEqual(
        compiled.plan.ranks.reduce((sum, rank) => sum + rank.stateBytesPerSequence, 0),
        4 * state.reduce((sum, layer) => sum + (layer.kind === 'kv' ? 0 : layer.convElements + layer.deltaElements), 0),
        'state of all ranks is the state of the model',
      );
      await model.dispose();
    }
  });

  for (const count of [1, ...ranks])
    test(`${name} reads each byte once over ${count} ranks, every rank its own`, async (t) => {
      const model = await load({ ranks: count });
      const read = new Map<TensorEntry, number[]>();
      for (const [rank, fills] of model.compiled.fills.entries())
        for (const { entry, rows, rowBytes } of fills.flatMap((fill) => (fill.kind === 'read' ? fill.ranges : []))) {
          const counts = read.get(entry) ?? model.compiled.fills.map(() => 0);
          counts[rank]! += rows * rowBytes;
          read.set(entry, counts);
        }
      for (const [entry, counts] of read) {
        const whole = entry.end - entry.begin;
        const sum = counts.reduce((total, one) => total + one, 0);
        // Besides what is read once in all: what is not cut is read by every rank, and a kv head by each rank that shares it.
        const isMirrored = counts.every((one) => one === whole);
        const isShared = Math.max(...counts) < whole && sum % whole === 0;
        t.true(sum === whole || isMirrored || isShared, `${entry.name}: ${counts} of ${whole}`);
      }
      const matrices = [...read].filter(([entry]) => entry.shape.length > 1);
      const shared = matrices.filter(([entry, [first]]) => count > 1 && first === entry.end - entry.begin);
      const total = (entries: typeof matrices) => entries.reduce((sum, [entry]) => sum + entry.end - entry.begin, 0);
      // Routers and gates of one row are small, and read whole.
      t.true(total(shared) <= 0.05 * total(matrices), shared.map(([entry]) => entry.name).join(', '));
      await model.dispose();
    });

  for (const size of architecture.sizes)
    test(`${name} compiles ${size.name} for one rank and two, from both kinds of file`, async (t) => {
      const config = architecture.parseConfig(size.config, size.name);
      const { vocab, layers } = architecture.facts(config);
      const limits = { ...paperLimits, vocab };
      for (const kind of ['safetensors', 'gguf'] as const) {
        const target = { architecture, config, backend: nullBackend(), limits, kind, format };
        const whole = compileFromConfig({ ...target, ranks: 1 }).plan.ranks[0]!.weightBytes;
        for (const count of architecture.capabilities.tensorParallel === true ? [1, 2] : [1]) {
          const { programs, plan } = compileFromConfig({ ...target, ranks: count });
          // Norms alone are on every rank; they are under a thousandth of a model.
          t.true(plan.ranks.every((rank) => rank.weightBytes <= whole * (1 / count + 0.001)));
          const sums = programs[0]!.text.split('\n').filter((line) => / all_reduce /u.test(line)).length;
          t.deepEqual(sums, count === 1 ? 0 : 2 * layers + 1, 'sums over ranks');
        }
      }
    });

  for (const { change, names } of refused)
    test(`${name} refuses a config with ${JSON.stringify(change)}`, async (t) => {
      const { checkpoint } = await open();
      const json = { ...(checkpoint.config as object), ...change };
      try {
        architecture.parseConfig(json, 'config.json');
        t.fail('it was accepted');
      } catch (error) {
        if (!CortexError.isInstance(error)) throw error;
        t.deepEqual(error.code, 'model_config_invalid');
        t.true(error.message.includes(names) && error.message.includes('config.json'), error.message);
      }
    });

  test(`${name} has at least ${fewestMutations} mutations`, async (t) => {
    t.true(new Set(mutations.map((mutation) => mutation.name)).size >= fewestMutations);
  });

  for (const mutation of mutations)
    test(`${name} fails its golden values when mutated: ${mutation.name}`, async (t) => {
      const { ranks: count = 1, ops: overrides = {}, chunks } = mutation;
      const model = await load({ of: mutation.of?.(architecture) ?? architecture, overrides, ranks: count });
      const golden = (await goldenCases(fixture)).find((candidate) => candidate.logits)!;
      const difference = largestDifference(await model.prefill(golden.ids, chunks), golden.logits!);
      t.true(difference > mutationBound, `the bound admits it: ${difference}`);
      await model.dispose();
    });
}

function configOf(architecture: Architecture, checkpoint: Checkpoint): unknown {
  const json = checkpoint.kind === 'gguf' ? architecture.ggufConfig(checkpoint.metadata) : checkpoint.config;
  return architecture.parseConfig(json, join(checkpoint.path, 'config.json'));
}

interface LoadedCase extends Omit<GoldenCase, 'logits'> {
  readonly logits: readonly Float32Array[] | null;
}

async function goldenCases(fixture: string): Promise<readonly LoadedCase[]> {
  const folder = join(fixture, 'expected');
  const { cases } = JSON.parse(await readFile(join(folder, 'cases.json'), 'utf8')) as { cases: GoldenCase[] };
  return Promise.all(
    cases.map(async (golden) => ({
      ...golden,
      logits: golden.logits ? splitRows(await readFile(join(folder, golden.logits)), golden.ids.length) : null,
    })),
  );
}

async function longestCase(fixture: string): Promise<LoadedCase> {
  return (await goldenCases(fixture)).reduce((longest, golden) =>
    golden.ids.length > longest.ids.length ? golden : longest,
  );
}

function splitRows(bytes: Uint8Array, rows: number): readonly Float32Array[] {
  const values = new Float32Array(bytes.slice().buffer);
  const vocab = values.length / rows;
  return Array.from({ length: rows }, (_, row) => values.slice(row * vocab, (row + 1) * vocab));
}
