import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint, type QuantFormat } from '@helexa/core';
import { makeSafetensors } from '@helexa/core/testing';
import test from 'ava';
import { type Architecture, contractVersion } from '../architecture.js';
import { referenceBackend } from '../backends/reference.js';
import { listCheckpointTensors } from '../checkpoint-tensors.js';
import { randomValues } from '../conformance/random.js';
import { largestDifference, ScriptedModel } from '../conformance/scripted-model.js';
import { matrixRow, named } from '../weight-rows.js';
import type { WeightsTable } from '../weights.js';
import { moeBlock } from './moe.js';
import { moeRows } from './moe-rows.js';

const vocab = 24;
const hidden = 32;
const experts = 5;
const inner = 64;
const shared = 128;
const chosen = 2;

const prefix = 'model.layers.{layer}.mlp';
const of = (name: string): string => `${prefix.replace('{layer}', '0')}.${name}`;

/** A model that is one block of experts between an embedding and a head. */
function model(change: Partial<{ renormalise: boolean; drop: string }> = {}): Architecture {
  const { renormalise = true, drop = '' } = change;
  const weights = (): WeightsTable => ({
    rows: [
      matrixRow('embed', [vocab, hidden], named('embed', ''), { lookup: true }),
      ...moeRows({ layers: [0], hidden, experts, inner, shared, prefixes: ['absent', prefix] }).filter(
        ({ slot }) => slot !== drop,
      ),
      matrixRow('head', [vocab, hidden], named('head', ''), { exact: true }),
    ],
    ignored: drop === '' ? [] : ['*shared_expert_gate*'],
  });
  return {
    name: 'experts',
    contractVersion,
    modelTypes: [],
    ggufArchitectures: [],
    capabilities: { tensorParallel: true, rewind: true, vision: false },
    parseConfig: () => null,
    ggufConfig: () => null,
    facts: () => ({ vocab, hidden, layers: 1, maxContext: 64, state: [] }),
    weights,
    forward(b) {
      const x = b.embed(b.weight('embed'));
      let y = x;
      b.layer(0, () => {
        y = moeBlock(b, x, { experts, chosen, renormalise });
      });
      b.sample(b.linear(b.gatherRows(y), b.weight('head')));
    },
    sizes: [],
  };
}

interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

const values: ReadonlyMap<string, Tensor> = new Map(
  listCheckpointTensors(model().weights(null), 'safetensors').map(({ name, shape }) => {
    const own = name.replace('absent', of('').slice(0, -1));
    const size = shape.reduce((product, length) => product * length, 1);
    return [own, { shape, data: randomValues(own, size).map((value) => value * 0.3) }] as const;
  }),
);
const data = (name: string): Float32Array => values.get(name)!.data;

/** The same tensors with all experts of a kind in one. */
function together(): ReadonlyMap<string, Tensor> {
  const joined = new Map<string, Tensor>([...values].filter(([name]) => !name.includes('.experts.')));
  const each = (part: string) =>
    Array.from({ length: experts }, (_, e) => data(of(`experts.${e}.${part}_proj.weight`)));
  const join = (parts: readonly Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));
  const [gates, ups] = [each('gate'), each('up')];
  joined.set(of('experts.gate_up_proj'), {
    shape: [experts, 2 * inner, hidden],
    data: join(gates.flatMap((gate, e) => [gate, ups[e]!])),
  });
  joined.set(of('experts.down_proj'), { shape: [experts, hidden, inner], data: join(each('down')) });
  return joined;
}

interface Run {
  readonly architecture?: Architecture;
  readonly tensors?: ReadonlyMap<string, Tensor>;
  readonly ranks?: number;
  readonly quant?: QuantFormat;
}

const tokens = [3, 17, 0, 23, 8, 8, 11];

async function logitsOf({ architecture = model(), tensors = values, ranks = 1, quant }: Run = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'experts-'));
  try {
    const entries = [...tensors].map(([name, { shape, data: numbers }]) => ({
      name,
      dtype: 'F32',
      shape,
      bytes: new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength),
    }));
    writeFileSync(join(folder, 'model.safetensors'), makeSafetensors(entries));
    writeFileSync(join(folder, 'config.json'), '{}');
    const checkpoint = await openCheckpoint(folder);
    const backend = referenceBackend();
    const loaded = await ScriptedModel.load({
      architecture,
      config: null,
      checkpoint,
      backend,
      ranks,
      ...(quant ? { quant } : {}),
    });
    const { logits } = await loaded.step([{ slot: 0, tokens, past: 0 }]);
    await loaded.dispose();
    return { logits, formats: loaded.compiled.programs[0]!.tensors.map(({ name, format }) => [name, format] as const) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The block as its equations say it, one row at a time. */
function byHand(token: number): Float32Array {
  const x = [...data('embed').slice(token * hidden, (token + 1) * hidden)];
  const times = (matrix: Float32Array, input: readonly number[]): number[] =>
    Array.from({ length: matrix.length / input.length }, (_, row) =>
      input.reduce((sum, value, column) => sum + value * matrix[row * input.length + column]!, 0),
    );
  const swiglu = (name: string, input: readonly number[]): number[] => {
    const gate = times(data(of(`${name}.gate_proj.weight`)), input);
    const up = times(data(of(`${name}.up_proj.weight`)), input);
    const both = gate.map((value, i) => (value / (1 + Math.exp(-value))) * up[i]!);
    return times(data(of(`${name}.down_proj.weight`)), both);
  };
  const powers = times(data(of('gate.weight')), x).map(Math.exp);
  const best = [...powers.keys()].sort((a, b) => powers[b]! - powers[a]!).slice(0, chosen);
  const all = best.reduce((sum, e) => sum + powers[e]!, 0);
  const weight = 1 / (1 + Math.exp(-times(data(of('shared_expert_gate.weight')), x)[0]!));
  const y = swiglu('shared_expert', x).map((value) => weight * value);
  for (const e of best)
    for (const [i, value] of swiglu(`experts.${e}`, x).entries()) y[i]! += (powers[e]! / all) * value;
  return Float32Array.from(times(data('head'), y));
}

const router = of('gate.weight');
/** The rows of a matrix one place further on. */
const turned = ({ shape, data: numbers }: Tensor): Tensor => ({
  shape,
  data: Float32Array.from(numbers, (_, at) => numbers[(at + hidden) % numbers.length]!),
});

// Bound: float64 in two orders, rounded to float32 at the end. Every change below moves logits by over a hundred times that.
const bound = 1e-5;

test('moeBlock is the weighted sum of the chosen experts and the shared one', async (t) => {
  const wanted = tokens.map(byHand);
  t.true(largestDifference((await logitsOf()).logits, wanted) < bound);
  const wrong: readonly Run[] = [
    { architecture: model({ renormalise: false }) },
    { architecture: model({ drop: 'sharedGate' }) },
    { tensors: new Map([...values, [router, turned(values.get(router)!)]]) },
  ];
  for (const run of wrong) t.true(largestDifference((await logitsOf(run)).logits, wanted) > 100 * bound);
});

test('moeRows reads experts as one tensor each or all in one', async (t) => {
  t.deepEqual((await logitsOf({ tensors: together() })).logits, (await logitsOf()).logits);
});

test('moeBlock over two ranks answers as over one, also when each rank quantises its share', async (t) => {
  for (const quant of [undefined, 'Q8_0', 'Q4_0'] as const) {
    const how = quant ? { quant } : {};
    const one = await logitsOf(how);
    const two = await logitsOf({ ...how, ranks: 2 });
    t.true(largestDifference(one.logits, two.logits) < bound, `${quant}`);
  }
});

test('moeBlock is quantised but for its router and the gate of its shared expert', async (t) => {
  const plain = await logitsOf();
  const { formats, logits } = await logitsOf({ quant: 'Q8_0' });
  const exact = formats.filter(([, format]) => format === 'F32').map(([name]) => name);
  t.deepEqual(exact, ['embed', 'layers.0.router', 'layers.0.sharedGate', 'head']);
  const difference = largestDifference(plain.logits, logits);
  t.true(difference > bound && difference < 0.1, `${difference}`);
});

test('moeRows refuses to part the blocks of a quantised expert', async (t) => {
  await t.throwsAsync(logitsOf({ quant: 'Q8_0', ranks: 4 }), {
    code: 'cannot_shard',
    message: /'layers\.0\.expertDown'.*16 columns of format Q8_0.*whole blocks of 32/u,
  });
  await t.throwsAsync(logitsOf({ quant: 'Q4_K' }), {
    code: 'cannot_quantise',
    message: /'layers\.0\.expertGateUp' to Q4_K.*32 columns; whole blocks of 256/u,
  });
});
