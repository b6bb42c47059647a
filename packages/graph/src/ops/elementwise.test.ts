import test from 'ava';
import { apart, runReference } from './fake-context.js';
import { ops } from './index.js';
import { erf } from './math.js';

// Bounds are a few units in the last place of float64; a constant wrong in its sixth digit fails.
const bound = 1e-12;

test('elementwise ops compute what their formulas say at points with closed forms', (t) => {
  const x = [[0, Math.log(3), -Math.log(3), 2]];
  const half = [[2, -4, 8, 1]];
  const one = (op: keyof typeof ops, params = {}) =>
    runReference(ops[op], { rows: 1, inputs: { x }, outputs: { y: 4 }, params })['y']!;
  const two = (op: keyof typeof ops, roles: readonly [string, string]) =>
    runReference(ops[op], {
      rows: 1,
      inputs: { [roles[0]]: x, [roles[1]]: half },
      outputs: { y: 4 },
      params: { broadcast: 0 },
    })['y']!;
  const l = Math.log(3);
  const s2 = 1 / (1 + Math.exp(-2));
  t.true(apart(one('sigmoid'), [[0.5, 0.75, 0.25, s2]]) < bound);
  t.true(apart(one('silu'), [[0, 0.75 * l, -0.25 * l, 2 * s2]]) < bound);
  t.true(apart(one('scale', { factor: 3 }), [[0, 3 * l, -3 * l, 6]]) < bound);
  t.true(apart(two('add', ['a', 'b']), [[2, l - 4, 8 - l, 3]]) < bound);
  t.true(apart(two('mul', ['a', 'b']), [[0, -4 * l, -8 * l, 2]]) < bound);
  t.true(apart(two('swiglu', ['gate', 'up']), [[0, -3 * l, -2 * l, 2 * s2]]) < bound);
  t.true(apart(two('sigmoid_mul', ['gate', 'x']), [[1, -3, 2, s2]]) < bound);
});

test('gelu is exact or its tanh form', (t) => {
  const gelu = (tanh: number) =>
    runReference(ops.gelu, { rows: 1, inputs: { x: [[0, 1, -2, 3]] }, outputs: { y: 4 }, params: { tanh } })['y']!;
  // Normal distribution function at 1, -2 and 3, from tables of 15 digits.
  const table = [[0, 0.841344746068543, -2 * 0.0227501319481792, 3 * 0.99865010196837]];
  t.true(apart(gelu(0), table) < 1e-13);
  // The tanh form differs by up to 5e-4; it is another function.
  t.true(apart(gelu(1), table) > 1e-4);
  t.true(apart(gelu(1), table) < 1e-3);
  const inner = Math.sqrt(2 / Math.PI) * 1.044715;
  t.true(apart([[gelu(1)[0]![1]!]], [[0.5 * (1 + Math.tanh(inner))]]) < bound);
});

test('erf is odd, bounded and right at table points', (t) => {
  for (const [x, value] of [
    [0.5, 0.520499877813047],
    [1, 0.842700792949715],
    [2, 0.995322265018953],
    [5, 0.999999999998463],
  ] as const) {
    t.true(Math.abs(erf(x) - value) < 2e-15);
    t.is(erf(-x), -erf(x));
  }
  t.is(erf(40), 1);
});

test('sigmoid_mul broadcasts a gate of one column', (t) => {
  const { y } = runReference(ops.sigmoid_mul, {
    rows: 2,
    inputs: {
      x: [
        [4, 8],
        [4, -8],
      ],
      gate: [[0], [Math.log(3)]],
    },
    outputs: { y: 2 },
    params: { broadcast: 1 },
  });
  t.true(
    apart(y!, [
      [2, 4],
      [3, -6],
    ]) < bound,
  );
});

test('add_bias, gather_rows, all_reduce and gather move and add rows', (t) => {
  const x = [
    [1, 2],
    [3, 4],
    [5, 6],
  ];
  t.deepEqual(
    runReference(ops.add_bias, { rows: 3, inputs: { x }, outputs: { y: 2 }, weights: { bias: [[[10], [20]]] } })['y'],
    [
      [11, 22],
      [13, 24],
      [15, 26],
    ],
  );
  t.deepEqual(runReference(ops.gather_rows, { rows: 2, inputs: { x }, outputs: { y: 2 }, sampleRows: [2, 0] })['y'], [
    [5, 6],
    [1, 2],
  ]);
  const peers = [[[1, 2]], [[10, 20]], [[100, 200]]];
  t.deepEqual(runReference(ops.all_reduce, { rows: 1, outputs: { y: 2 }, peers, rank: 2 })['y'], [[111, 222]]);
  const uneven = [[[1, 2, 3]], [[4]]];
  t.deepEqual(runReference(ops.gather, { rows: 1, outputs: { y: 4 }, peers: uneven })['y'], [[1, 2, 3, 4]]);
});

test('embed gives rows by token, and zeros for tokens another rank holds', (t) => {
  const table = [
    [
      [1, 2],
      [3, 4],
    ],
  ];
  const { y } = runReference(ops.embed, {
    rows: 4,
    outputs: { y: 2 },
    weights: { table },
    tokens: [3, 2, 4, 1],
    params: { vocabStart: 2 },
  });
  t.deepEqual(y, [
    [3, 4],
    [1, 2],
    [0, 0],
    [0, 0],
  ]);
});
