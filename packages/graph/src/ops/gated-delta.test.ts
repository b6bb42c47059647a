import test from 'ava';
import { apart, fakeState, runReference } from './fake-context.js';
import { ops } from './index.js';

type Rows = readonly (readonly number[])[];

interface Heads {
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly tiled?: 0 | 1;
}

function run(
  state: ReturnType<typeof fakeState>,
  heads: Heads,
  rows: { qkv: Rows; beta: Rows; g: Rows },
  start = 0,
  slot = 0,
): Rows {
  const { keyDim, valueDim, valueHeads, tiled = 0 } = heads;
  return runReference(ops.gated_delta, {
    rows: rows.qkv.length,
    inputs: rows as unknown as Readonly<Record<string, Rows>>,
    outputs: { y: valueHeads * valueDim },
    params: { layer: 0, keyDim, valueDim, tiled },
    sequences: [{ slot, rows: rows.qkv.length, length: start + rows.qkv.length }],
    state,
  })['y']!;
}

const stateFor = ({ valueHeads, keyDim, valueDim }: Heads) => fakeState(0, valueHeads * keyDim * valueDim);

test('gated_delta stores a value under its key and reads it back', (t) => {
  const heads = { keyHeads: 1, valueHeads: 1, keyDim: 2, valueDim: 2 };
  const state = stateFor(heads);
  // Unit vectors: 1e-6 under the root of the norm takes 5e-7 of them, twice. Forgetting the scale 1 / sqrt(2) errs by 30%.
  const first = run(state, heads, { qkv: [[1, 0, 1, 0, 6, 8]], beta: [[0.5]], g: [[0]] });
  t.true(apart(first, [[3 / Math.SQRT2, 4 / Math.SQRT2]]) < 1e-5);
  // Halved before it is read; the other key adds its own value; q of length 5 along the first key is a unit vector.
  const second = run(state, heads, { qkv: [[5, 0, 0, 1, 9, 9]], beta: [[1]], g: [[Math.log(0.5)]] }, 1);
  t.true(apart(second, [[1.5 / Math.SQRT2, 2 / Math.SQRT2]]) < 1e-5);
  // The same key again: delta is v - S^T k, so that beta 1 replaces what is stored.
  const third = run(state, heads, { qkv: [[1, 0, 1, 0, 1, 2]], beta: [[1]], g: [[0]] }, 2);
  t.true(apart(third, [[1 / Math.SQRT2, 2 / Math.SQRT2]]) < 2e-5);
});

test('gated_delta begins a sequence from zeros and keeps slots apart', (t) => {
  const heads = { keyHeads: 1, valueHeads: 1, keyDim: 2, valueDim: 1 };
  const state = stateFor(heads);
  const row = { qkv: [[1, 2, 3, 4, 5]], beta: [[1]], g: [[0]] };
  const fresh = run(state, heads, row);
  run(state, heads, { ...row, qkv: [[1, 2, 4, -3, 50]] }, 0, 1);
  const again = run(state, heads, row, 0, 1);
  t.deepEqual(again, fresh);
  const kept = run(state, heads, { ...row, beta: [[0]] }, 1);
  t.deepEqual(kept, fresh);
});

test('gated_delta pairs value heads with key heads in groups or tiled', (t) => {
  const heads = { keyHeads: 2, valueHeads: 4, keyDim: 1, valueDim: 1 };
  // q signs tell key heads apart; keys are 1, so y is sign(q) * v.
  const row = { qkv: [[1, -1, 1, 1, 10, 20, 30, 40]], beta: [[1, 1, 1, 1]], g: [[0, 0, 0, 0]] };
  t.true(apart(run(stateFor(heads), heads, row), [[10, 20, -30, -40]]) < 1e-4);
  t.true(apart(run(stateFor(heads), { ...heads, tiled: 1 }, row), [[10, -20, 30, -40]]) < 1e-4);
});

test('gated_delta gives the same bits in pieces of any size', (t) => {
  const heads = { keyHeads: 1, valueHeads: 1, keyDim: 4, valueDim: 3 };
  const qkv = Array.from({ length: 24 }, (_, i) => Array.from({ length: 11 }, (_, c) => Math.sin(3 * i + c)));
  const beta = qkv.map((_, i) => [0.9 + 0.09 * Math.sin(i)]);
  const g = qkv.map((_, i) => [-0.2 - 0.1 * Math.cos(i)]);
  const whole = run(stateFor(heads), heads, { qkv, beta, g });
  const pieces = stateFor(heads);
  const answers = [
    [0, 5],
    [5, 6],
    [6, 24],
  ].flatMap(([start, end]) => [
    ...run(pieces, heads, { qkv: qkv.slice(start, end), beta: beta.slice(start, end), g: g.slice(start, end) }, start),
  ]);
  t.deepEqual(answers, whole);
});

test('delta_gates are the sigmoid of b and the decay of a', (t) => {
  const column = (values: readonly number[]) => values.map((value) => [value]);
  const answer = runReference(ops.delta_gates, {
    rows: 1,
    inputs: { b: [[0, Math.log(3), 0]], a: [[0, 30, -1]] },
    outputs: { beta: 3, g: 3 },
    weights: { decay: [column([-2, -1, -3])], dtBias: [column([0, 1, 1])] },
  });
  t.true(apart(answer['beta']!, [[0.5, 0.75, 0.5]]) < 1e-12);
  t.true(apart(answer['g']!, [[-2 * Math.log(2), -31, -3 * Math.log(2)]]) < 1e-12);
});

test('conv1d_silu convolves each channel over its own past', (t) => {
  const silu = (x: number) => x / (1 + Math.exp(-x));
  const kernel = [[[1, 10, 100]], [[2, 0, 1]]];
  const x = [
    [1, 1],
    [2, 3],
    [3, 5],
    [4, 7],
  ];
  const wanted = [
    [100, 1],
    [210, 3],
    [321, 2 + 5],
    [432, 6 + 7],
  ].map((row) => row.map(silu));
  const whole = (chunks: readonly (readonly [number, number])[], state = fakeState(4, 0)) =>
    chunks.flatMap(([start, end]) => [
      ...runReference(ops.conv1d_silu, {
        rows: end - start,
        inputs: { x: x.slice(start, end) },
        outputs: { y: 2 },
        weights: { kernel },
        params: { layer: 0 },
        sequences: [{ slot: 0, rows: end - start, length: end }],
        state,
      })['y']!,
    ]);
  t.true(apart(whole([[0, 4]]), wanted) < 1e-9);
  t.deepEqual(
    whole([
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4],
    ]),
    whole([[0, 4]]),
  );
  t.deepEqual(
    whole([
      [0, 3],
      [3, 4],
    ]),
    whole([[0, 4]]),
  );
  // A new sequence in a used slot begins from zeros.
  const used = fakeState(4, 0);
  whole([[0, 4]], used);
  t.deepEqual(whole([[0, 4]], used), whole([[0, 4]]));
});
