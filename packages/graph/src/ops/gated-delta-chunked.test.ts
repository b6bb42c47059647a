import test from 'ava';
import { randomValues } from '../conformance/random.js';
import { apart, fakeState, runReference } from './fake-context.js';
import { gatedDelta } from './gated-delta.js';
import { chunkedGatedDelta } from './gated-delta-chunked.js';

const [keyDim, valueDim, keyHeads, valueHeads] = [16, 8, 1, 2];
const width = 2 * keyHeads * keyDim + valueHeads * valueDim;

type Rows = readonly (readonly number[])[];

interface Tokens {
  readonly qkv: Rows;
  readonly beta: Rows;
  readonly g: Rows;
}

const split = (values: Float32Array, columns: number): Rows =>
  Array.from({ length: values.length / columns }, (_, row) => [...values.subarray(row * columns, (row + 1) * columns)]);

/** Tokens of unrelated keys, or of keys that are nearly the same, written whole and never forgotten. */
function tokensOf(count: number, alike: boolean): Tokens {
  const qkv = split(randomValues(`chunk ${count}`, count * width), width);
  const gates = split(randomValues(`gates ${count}`, count * valueHeads), valueHeads);
  const key = [...randomValues('key', keyDim)];
  return {
    qkv: alike
      ? qkv.map((row) => [...row.slice(0, keyDim), ...key.map((k, d) => k + 1e-3 * row[d]!), ...row.slice(2 * keyDim)])
      : qkv,
    beta: gates.map((row) => row.map((gate) => (alike ? 0.999 : (gate + 1) / 2))),
    g: gates.map((row) => row.map((gate) => (alike ? -1e-4 : -2 * (gate + 1)))),
  };
}

/** Answers and the state after them, fed in pieces of these lengths. */
function run(op: { reference: typeof gatedDelta.reference }, tokens: Tokens, pieces: readonly number[]): Rows {
  const state = fakeState(1, valueHeads * keyDim * valueDim);
  const rows: (readonly number[])[] = [];
  for (const count of pieces) {
    const start = rows.length;
    const part = (all: Rows): Rows => all.slice(start, start + count);
    const { y } = runReference(op, {
      rows: count,
      inputs: { qkv: part(tokens.qkv), beta: part(tokens.beta), g: part(tokens.g) },
      outputs: { y: valueHeads * valueDim },
      params: { layer: 0, keyDim, valueDim, tiled: 0 },
      sequences: [{ slot: 1, rows: count, length: start + count }],
      state,
    });
    rows.push(...y!);
  }
  return [...rows, [...state.delta]];
}

const chunked = { reference: chunkedGatedDelta() };
const inFloat32 = { reference: chunkedGatedDelta(Math.fround) };

// Of values up to 1. A mask applied after the exponential, a diagonal left out or decays of one row further are apart by over
// 0.01; the alternating sum of powers of A loses every digit on keys that are alike, in float64 too.
const bound = 1e-11;
// In float32 a sum of 64 logarithms of strong decays is 1e-5 off, and what is made of its differences with it.
const float32Bound = 1e-4;

for (const alike of [false, true])
  test(`chunkedGatedDelta is the token by token rule, keys ${alike ? 'nearly alike' : 'unrelated'}`, (t) => {
    for (const pieces of [[1], [63], [64], [65], [100], [30, 35, 40], [64, 64]]) {
      const count = pieces.reduce((sum, one) => sum + one, 0);
      const tokens = tokensOf(count, alike);
      const wanted = run(gatedDelta, tokens, pieces);
      const exact = apart(run(chunked, tokens, pieces), wanted);
      t.true(exact <= bound, `${pieces}: ${exact}`);
      const rounded = apart(run(inFloat32, tokens, pieces), wanted);
      t.true(rounded <= float32Bound, `${pieces} in float32: ${rounded}`);
    }
  });

test('chunkedGatedDelta gives equal bits in steps that end where chunks do, and close ones elsewhere', (t) => {
  const tokens = tokensOf(128, false);
  const whole = run(inFloat32, tokens, [128]);
  t.is(apart(run(inFloat32, tokens, [64, 64]), whole), 0);
  const parted = apart(run(inFloat32, tokens, [40, 88]), whole);
  t.true(parted > 0 && parted <= float32Bound, `${parted}`);
});
