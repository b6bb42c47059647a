import test from 'ava';
import { apart, fakeCache, runReference } from './fake-context.js';
import { ops } from './index.js';

// float64 throughout and float32 in the cache, which holds these numbers exactly. One token more or less errs by over 0.01.
const bound = 1e-12;
const headDim = 2;

type Rows = readonly (readonly number[])[];

/** Appends, then attends; `start` tokens of the slot are there before. */
function run(
  cache: ReturnType<typeof fakeCache>,
  options: { q: Rows; k: Rows; v: Rows; slot?: number; start?: number; window?: number; scale?: number },
): Rows {
  const { q, k, v, slot = 0, start = 0, window = 0, scale = 1 } = options;
  const sequences = [{ slot, rows: q.length, length: start + q.length }];
  const common = { rows: q.length, sequences, cache };
  runReference(ops.kv_append, { ...common, inputs: { k, v }, params: { layer: 0, headDim } });
  const params = { layer: 0, headDim, scale, window };
  return runReference(ops.attend, { ...common, inputs: { q }, outputs: { y: q[0]!.length }, params })['y']!;
}

const zeros = (rows: number, width: number): number[][] => Array.from({ length: rows }, () => new Array(width).fill(0));
const counted = (rows: number, from = 0): number[][] =>
  Array.from({ length: rows }, (_, i) => [from + i, 2 * (from + i)]);

test('attend averages the values of all tokens up to its own when scores are equal', (t) => {
  const y = run(fakeCache({ kvHeads: 1, headDim }), { q: zeros(4, 2), k: zeros(4, 2), v: counted(4) });
  t.true(
    apart(y, [
      [0, 0],
      [0.5, 1],
      [1, 2],
      [1.5, 3],
    ]) < bound,
  );
});

test('attend weighs values by the softmax of scaled products', (t) => {
  const options = {
    q: [
      [0, 0],
      [2, 0],
    ],
    k: [
      [0, 5],
      [Math.log(3), 5],
    ],
    v: [
      [0, 4],
      [8, 0],
    ],
  };
  const cache = () => fakeCache({ kvHeads: 1, headDim });
  // Keys are float32: log(3) is off by 5e-8.
  t.true(apart([run(cache(), { ...options, scale: 0.5 })[1]!], [[6, 1]]) < 1e-6);
  t.true(apart([run(cache(), { ...options, scale: 1 })[1]!], [[7.2, 0.4]]) < 1e-6);
});

test('attend shares a kv head among consecutive query heads', (t) => {
  const cache = fakeCache({ kvHeads: 2, headDim });
  const y = run(cache, { q: zeros(1, 8), k: zeros(1, 4), v: [[1, 2, 3, 4]] });
  t.deepEqual(y, [[1, 2, 1, 2, 3, 4, 3, 4]]);
});

test('attend sees the last tokens only through a window', (t) => {
  const y = run(fakeCache({ kvHeads: 1, headDim }), { q: zeros(5, 2), k: zeros(5, 2), v: counted(5), window: 2 });
  t.true(
    apart(y, [
      [0, 0],
      [0.5, 1],
      [1.5, 3],
      [2.5, 5],
      [3.5, 7],
    ]) < bound,
  );
});

test('attend answers the same for a prompt in one piece, in chunks and token by token, across pages', (t) => {
  const rows = 70;
  const make = (salt: number) => Array.from({ length: rows }, (_, i) => [Math.sin(i + salt), Math.cos(i * 0.7 + salt)]);
  const [q, k, v] = [make(0), make(1), make(2)];
  const inChunks = (chunk: number): Rows => {
    const cache = fakeCache({ kvHeads: 1, headDim });
    const answers: number[][] = [];
    for (let start = 0; start < rows; start += chunk) {
      const cut = (all: number[][]) => all.slice(start, start + chunk);
      answers.push(...run(cache, { q: cut(q), k: cut(k), v: cut(v), slot: 1, start }).map((row) => [...row]));
    }
    return answers;
  };
  const whole = inChunks(rows);
  t.deepEqual(inChunks(1), whole);
  t.deepEqual(inChunks(13), whole);
  t.deepEqual(inChunks(64), whole);
});

test('attend keeps the sequences of a step apart', (t) => {
  const cache = fakeCache({ kvHeads: 1, headDim });
  run(cache, { q: zeros(2, 2), k: zeros(2, 2), v: counted(2, 100), slot: 3 });
  const common = {
    rows: 3,
    sequences: [
      { slot: 0, rows: 2, length: 2 },
      { slot: 3, rows: 1, length: 3 },
    ],
    cache,
  };
  const v = [
    [2, 4],
    [4, 8],
    [102, 204],
  ];
  runReference(ops.kv_append, { ...common, inputs: { k: zeros(3, 2), v }, params: { layer: 0, headDim } });
  const params = { layer: 0, headDim, scale: 1, window: 0 };
  const { y } = runReference(ops.attend, { ...common, inputs: { q: zeros(3, 2) }, outputs: { y: 2 }, params });
  t.true(
    apart(y!, [
      [2, 4],
      [3, 6],
      [101, 202],
    ]) <
      bound * 100,
  );
});

test('attend_dense looks both ways, within one image', (t) => {
  const options = {
    rows: 3,
    inputs: {
      q: zeros(3, 4),
      k: zeros(3, 4),
      v: [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [9, 9, 9, 9],
      ],
    },
    outputs: { y: 4 },
    params: { headDim: 2, scale: 1 },
    patches: [[0], [0], [1]],
  };
  t.true(
    apart(runReference(ops.attend_dense, options)['y']!, [
      [2, 3, 4, 5],
      [2, 3, 4, 5],
      [9, 9, 9, 9],
    ]) < bound,
  );
});

test('patch_merge puts the patches of a block side by side', (t) => {
  const x = Array.from({ length: 8 }, (_, i) => [10 * i, 10 * i + 1]);
  const patches = Array.from({ length: 8 }, () => [0]);
  const merged = runReference(ops.patch_merge, {
    rows: 3,
    inputs: { x },
    outputs: { y: 8 },
    params: { merge: 2 },
    patches,
  });
  t.deepEqual(merged['y'], [
    [0, 1, 10, 11, 20, 21, 30, 31],
    [40, 41, 50, 51, 60, 61, 70, 71],
    [0, 0, 0, 0, 0, 0, 0, 0],
  ]);
});

test('patch_position puts the corners of an image on the corners of the table', (t) => {
  // Row 3 * y + x of a table of 3 x 3 places is (y, x): the interpolated place itself.
  const table = Array.from({ length: 9 }, (_, place) => [Math.floor(place / 3), place % 3]);
  const run = (patches: readonly (readonly number[])[]) =>
    runReference(ops.patch_position, {
      rows: patches.length,
      outputs: { y: 2 },
      weights: { table: [table] },
      params: { side: 3 },
      patches,
    })['y']!;
  t.deepEqual(run([[0, 0, 0, 2, 5]]), [[0, 0]]);
  t.deepEqual(run([[0, 1, 4, 2, 5]]), [[2, 2]]);
  t.deepEqual(run([[0, 1, 1, 5, 5]]), [[0.5, 0.5]]);
  t.deepEqual(run([[0, 0, 3, 1, 5]]), [[0, 1.5]]);
});

test('embed takes feature rows for tokens below zero, on the rank that holds the first token', (t) => {
  const run = (vocabStart: number) =>
    runReference(ops.embed, {
      rows: 3,
      tokens: [-2, 1, -1],
      outputs: { y: 2 },
      weights: {
        table: [
          [
            [1, 2],
            [3, 4],
          ],
        ],
      },
      params: { vocabStart },
      features: [
        [10, 11],
        [20, 21],
      ],
    })['y']!;
  t.deepEqual(run(0), [
    [20, 21],
    [3, 4],
    [10, 11],
  ]);
  t.deepEqual(run(2), zeros(3, 2));
});
