import test from 'ava';
import { apart, runReference } from './fake-context.js';
import { ops } from './index.js';

const x = [
  [1, 2],
  [3, -1],
];
const gate = [
  [1, 0],
  [0, 1],
];
const up = [
  [1, 1],
  [2, -1],
];

test('linear concatenates the rows of its segments and adds the bias', (t) => {
  const weights = { matrix: [gate, [[1, 1]]], bias: [[[10], [20], [30]]] };
  const { y } = runReference(ops.linear, { rows: 2, inputs: { x }, outputs: { y: 3 }, weights });
  t.deepEqual(y, [
    [11, 22, 33],
    [13, 19, 32],
  ]);
});

test('linear answers a row the same alone and among others, whatever the number of features', (t) => {
  const wide = Array.from({ length: 11 }, (_, f) => Array.from({ length: 37 }, (_, c) => Math.sin(f * 37 + c)));
  const rows = Array.from({ length: 9 }, (_, r) => Array.from({ length: 37 }, (_, c) => Math.cos(r + 3 * c)));
  const run = (some: readonly (readonly number[])[]) =>
    runReference(ops.linear, {
      rows: some.length,
      inputs: { x: some },
      outputs: { y: 11 },
      weights: { matrix: [wide] },
    })['y']!;
  const all = run(rows);
  for (const [index, row] of rows.entries()) t.deepEqual(run([row])[0], all[index]);
});

test('linear_add adds the residual', (t) => {
  const inputs = { x, residual: [[100], [200]] };
  const { y } = runReference(ops.linear_add, { rows: 2, inputs, outputs: { y: 1 }, weights: { matrix: [[[1, 1]]] } });
  t.deepEqual(y, [[103], [202]]);
});

test('linear_swiglu gates up by silu of gate', (t) => {
  const { y } = runReference(ops.linear_swiglu, {
    rows: 1,
    inputs: { x: [[Math.log(3), 2]] },
    outputs: { y: 2 },
    weights: { matrix: [gate, up] },
  });
  const l = Math.log(3);
  const wanted = [[0.75 * l * (l + 2), (2 / (1 + Math.exp(-2))) * (2 * l - 2)]];
  // float32 weights are exact here; exchanging gate and up changes the first column by 1.
  t.true(apart(y!, wanted) < 1e-12);
});
