import test from 'ava';
import fc from 'fast-check';
import { apart, runReference } from './fake-context.js';
import { ops } from './index.js';

// Exact fractions but for the roots: a bound of float64 rounding refuses eps outside the root or a sum for a mean.
const bound = 1e-12;
const column = (values: readonly number[]): number[][] => values.map((value) => [value]);

test('rms_norm divides by the root of the mean square and then weighs', (t) => {
  // Mean square of 3, 4, 0, 0 is 6.25: with eps 2.75 the root is 3.
  const inputs = { x: [[3, 4, 0, 0]] };
  const weights = { weight: [column([1, 2, 3, 4])] };
  const { y } = runReference(ops.rms_norm, { rows: 1, inputs, outputs: { y: 4 }, weights, params: { eps: 2.75 } });
  t.true(apart(y!, [[1, 8 / 3, 0, 0]]) < bound);
});

test('add_rms_norm gives the sum and its norm', (t) => {
  const inputs = { residual: [[1, 5]], delta: [[2, -1]] };
  const weights = { weight: [column([2, 1])] };
  const answer = runReference(ops.add_rms_norm, {
    rows: 1,
    inputs,
    outputs: { sum: 2, y: 2 },
    weights,
    params: { eps: 0 },
  });
  t.deepEqual(answer['sum'], [[3, 4]]);
  t.true(apart(answer['y']!, [[6 / Math.sqrt(12.5), 4 / Math.sqrt(12.5)]]) < bound);
});

test('head_norm normalises each head by itself with one weight', (t) => {
  const inputs = { x: [[3, 4, 30, -40]] };
  const weights = { weight: [column([1, 10])] };
  const params = { headDim: 2, eps: 0 };
  const { y } = runReference(ops.head_norm, { rows: 1, inputs, outputs: { y: 4 }, weights, params });
  const root = Math.sqrt(12.5);
  t.true(apart(y!, [[3 / root, 40 / root, 3 / root, -40 / root]]) < bound);
});

test('rms_norm_gated norms first and gates with silu of z', (t) => {
  const inputs = { x: [[3, 4]], z: [[0, Math.log(3)]] };
  const weights = { weight: [column([7, 2])] };
  const params = { headDim: 2, eps: 0 };
  const { y } = runReference(ops.rms_norm_gated, { rows: 1, inputs, outputs: { y: 2 }, weights, params });
  t.true(apart(y!, [[0, (2 * 4 * 0.75 * Math.log(3)) / Math.sqrt(12.5)]]) < bound);
});

test('layer_norm takes the mean away and divides by the biased deviation', (t) => {
  // Mean 2, biased variance 5.
  const inputs = { x: [[-1, 1, 3, 5]] };
  const weights = { weight: [column([1, 1, 2, 1])], bias: [column([0, 10, 0, 0])] };
  const { y } = runReference(ops.layer_norm, { rows: 1, inputs, outputs: { y: 4 }, weights, params: { eps: 4 } });
  t.true(apart(y!, [[-1, 10 - 1 / 3, 2 / 3, 1]]) < bound);
});

test('rms_norm does not depend on the scale of its input when eps is zero', (t) => {
  const values = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(values, fc.integer({ min: -10, max: 10 }), (x, exponent) => {
      const weights = { weight: [column([1, 2, 3, 4, 5])] };
      const norm = (row: readonly number[]) =>
        runReference(ops.rms_norm, {
          rows: 1,
          inputs: { x: [row] },
          outputs: { y: 5 },
          weights,
          params: { eps: 0 },
        })['y']!;
      return apart(norm(x), norm(x.map((value) => value * 2 ** exponent))) < bound;
    }),
    { seed: 5 },
  );
  t.pass();
});
