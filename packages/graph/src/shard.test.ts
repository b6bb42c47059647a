import type { CortexError } from '@helexa/core';
import test from 'ava';
import fc from 'fast-check';
import { checkDivision, columnRuns, findDivisionProblem, lengthOf, rowRuns, shareOf } from './shard.js';
import { tinyConfig, tinyWeights } from './testing/tiny-model.js';
import { fusedRow, matrixRow } from './weight-rows.js';

const none = { safetensors: [], gguf: [] };
const parts = (ranks: number) => Array.from({ length: ranks }, (_, rank) => ({ rank, ranks }));

test('shareOf gives every unit to exactly one rank when units are not fewer than ranks', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 0, max: 500 }), (ranks, more) => {
      const count = ranks + more;
      const shares = parts(ranks).map((part) => shareOf(count, part));
      const sizes = shares.map((share) => share.count);
      let next = 0;
      for (const share of shares) {
        if (share.start !== next) return false;
        next += share.count;
      }
      return next === count && Math.max(...sizes) - Math.min(...sizes) <= 1;
    }),
  );
  t.pass();
});

test('shareOf repeats a unit on neighbouring ranks when ranks outnumber units', (t) => {
  t.deepEqual(
    parts(4).map((part) => shareOf(2, part).start),
    [0, 0, 1, 1],
  );
});

test('rowRuns divides each outer group, columnRuns each column group, and together they are the whole', (t) => {
  const cut = { name: 'delta', unit: 'key heads', count: 4 };
  const segment = { name: 'v', rows: 48, outer: 3, ...none };
  const row = fusedRow('v', 8, [segment], { cut: { axis: 'rows', cut } });
  t.deepEqual(rowRuns(row, segment, { rank: 1, ranks: 2 }), [
    { start: 8, count: 8 },
    { start: 24, count: 8 },
    { start: 40, count: 8 },
  ]);
  const out = matrixRow('out', [8, 48], none, { cut: { axis: 'cols', cut, outer: 3 } });
  t.deepEqual(columnRuns(out, { rank: 1, ranks: 2 }), rowRuns(row, segment, { rank: 1, ranks: 2 }));
  t.is(
    parts(4).reduce((sum, part) => sum + lengthOf(columnRuns(out, part)), 0),
    48,
  );
});

test('checkDivision names what there is, what would divide, and rank counts that work', (t) => {
  const table = tinyWeights({ ...tinyConfig, heads: 16, kvHeads: 8, inner: 96 });
  const error = t.throws(() => checkDivision(6, (ranks) => findDivisionProblem(table, ranks))) as CortexError;
  t.is(
    error.message,
    "Cannot shard 'layers.0.qkv' over 6 ranks: 8 kv heads; the rank count must divide or be a multiple of 8",
  );
  t.is(error.suggestion, 'Use --tp 1 or --tp 2 or --tp 4 or --tp 8');
});

test('findDivisionProblem accepts copies of kv heads only where query heads divide', (t) => {
  const table = (heads: number) => tinyWeights({ ...tinyConfig, heads, kvHeads: 2 });
  t.is(findDivisionProblem(table(8), 4), null);
  t.is(findDivisionProblem(table(6), 4)?.slot, 'layers.0.qkv.q');
});

test('findDivisionProblem accepts a vocabulary that does not divide and refuses an inner width that does not', (t) => {
  t.is(findDivisionProblem(tinyWeights({ ...tinyConfig, vocab: 51 }), 2), null);
  t.is(findDivisionProblem(tinyWeights({ ...tinyConfig, inner: 97 }), 2)?.slot, 'layers.0.gateUp');
});
