import test from 'ava';
import fc from 'fast-check';
import { apart, fakeCache, runReference } from './fake-context.js';
import { ops } from './index.js';
import { axisOf } from './rotary.js';

// Angles are float32 by definition: quarter turns are off by 4e-8. A wrong pair or sign errs by the size of the input.
const bound = 1e-6;
const quarter = Math.fround(Math.PI / 2);
const column = (values: readonly number[]): number[][] => values.map((value) => [value]);
const plain = { headDim: 4, rotaryDim: 4, attentionFactor: 1, sectionH: 0, sectionW: 0 };
const at = (position: number): [number, number, number] => [position, 0, 0];

test('rope turns pairs half a head apart by position times frequency', (t) => {
  const weights = { inverseFrequency: [column([quarter, 2 * quarter])] };
  const x = [[1, 2, 3, 4, 10, 20, 30, 40]];
  const turn = (position: number, params = plain) =>
    runReference(ops.rope, { rows: 1, inputs: { x }, outputs: { y: 8 }, weights, params, positions: [at(position)] })[
      'y'
    ]!;
  t.deepEqual(turn(0), x);
  // (a, b) turns to (-b, a) by a quarter and to (-a, -b) by a half turn.
  t.true(apart(turn(1), [[-3, -2, 1, -4, -30, -20, 10, -40]]) < 40 * bound);
  t.true(apart(turn(2), [[-1, 2, -3, 4, -10, 20, -30, 40]]) < 40 * bound);
  t.true(apart(turn(0, { ...plain, attentionFactor: 3 }), [x[0]!.map((value) => 3 * value)]) < bound);
});

test('rope passes the dimensions beyond rotaryDim', (t) => {
  const weights = { inverseFrequency: [column([quarter])] };
  const params = { ...plain, rotaryDim: 2 };
  const x = [[1, 2, 3, 4]];
  const { y } = runReference(ops.rope, {
    rows: 1,
    inputs: { x },
    outputs: { y: 4 },
    weights,
    params,
    positions: [at(1)],
  });
  t.true(apart(y!, [[-2, 1, 3, 4]]) < bound * 4);
});

test('rope keeps lengths, and inner products depend on the distance of positions alone', (t) => {
  const numbers = fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 4, maxLength: 4 });
  const weights = { inverseFrequency: [column([1, 0.01])] };
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  fc.assert(
    fc.property(numbers, numbers, fc.nat(500), fc.nat(500), (a, b, start, distance) => {
      const turned = (p: number, q: number) =>
        runReference(ops.rope, {
          rows: 2,
          inputs: { x: [a, b] },
          outputs: { y: 4 },
          weights,
          params: plain,
          positions: [at(p), at(q)],
        })['y']!;
      const near = turned(0, distance);
      const far = turned(start, start + distance);
      // Angles up to 1000 are float32: off by 3e-5, times a squared length of up to 324.
      return (
        Math.abs(dot(far[0]!, far[0]!) - dot(a, a)) < 1e-9 && Math.abs(dot(...pair(far)) - dot(...pair(near))) < 0.03
      );
    }),
    { seed: 2 },
  );
  t.pass();
});

const pair = (rows: readonly (readonly number[])[]) => [rows[0]!, rows[1]!] as const;

test('axisOf interleaves the axes of multimodal rotary', (t) => {
  const axes = Array.from({ length: 32 }, (_, i) => axisOf(i, { sectionH: 11, sectionW: 10 }));
  const owned = (axis: number) => axes.flatMap((value, i) => (value === axis ? [i] : []));
  t.deepEqual(owned(1), [1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31]);
  t.deepEqual(owned(2), [2, 5, 8, 11, 14, 17, 20, 23, 26, 29]);
  t.is(owned(0).length, 11);
  t.deepEqual(
    Array.from({ length: 6 }, (_, i) => axisOf(i, { sectionH: 0, sectionW: 0 })),
    [0, 0, 0, 0, 0, 0],
  );
});

test('rope reads the axis of each pair', (t) => {
  const weights = { inverseFrequency: [column([quarter, quarter, quarter])] };
  const params = { headDim: 6, rotaryDim: 6, attentionFactor: 1, sectionH: 1, sectionW: 1 };
  const { y } = runReference(ops.rope, {
    rows: 1,
    inputs: { x: [[1, 1, 1, 0, 0, 0]] },
    outputs: { y: 6 },
    weights,
    params,
    positions: [[0, 1, 2]],
  });
  t.true(apart(y!, [[1, 0, -1, 0, 1, 0]]) < bound);
});

test('rope_2d turns the first half of the pairs by row and the second by column', (t) => {
  const weights = { inverseFrequency: [column([quarter])] };
  const { y } = runReference(ops.rope_2d, {
    rows: 2,
    inputs: {
      x: [
        [1, 2, 3, 4],
        [1, 2, 3, 4],
      ],
    },
    outputs: { y: 4 },
    weights,
    params: { headDim: 4 },
    patches: [
      [9, 1, 0],
      [9, 0, 2],
    ],
  });
  t.true(
    apart(y!, [
      [-3, 2, 1, 4],
      [1, -2, 3, -4],
    ]) <
      4 * bound,
  );
});

test('qk_norm_rope_append is head_norm, rope and kv_append one after another', (t) => {
  const cache = fakeCache({ kvHeads: 1, headDim: 4 });
  const { y } = runReference(ops.qk_norm_rope_append, {
    rows: 1,
    inputs: { q: [[3, 0, 4, 0, 0, 5, 0, 12]], k: [[0, 3, 0, 4]], v: [[7, 8, 9, 10]] },
    outputs: { y: 8 },
    weights: {
      qNorm: [column([1, 1, 1, 2])],
      kNorm: [column([1, 1, 1, 3])],
      inverseFrequency: [column([quarter, quarter])],
    },
    params: { ...plain, layer: 0, eps: 0 },
    positions: [at(1)],
    sequences: [{ slot: 2, rows: 1, length: 66 }],
    cache,
  });
  // Roots of the mean squares: 2.5 and 6.5, and 2.5 for k.
  t.true(apart(y!, [[-1.6, 0, 1.2, 0, 0, -24 / 6.5, 0, 5 / 6.5]]) < 4 * bound);
  // Token 65 lies second in the slot's second page.
  const place = cache.at(15 - 4 - 2, 1, 0);
  t.true(apart([[...cache.keys.subarray(place, place + 4)]], [[0, -4.8, 0, 1.2]]) < 4 * bound);
  t.deepEqual([...cache.values.subarray(place, place + 4)], [7, 8, 9, 10]);
});
