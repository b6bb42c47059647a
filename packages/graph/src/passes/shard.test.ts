import type { CortexError } from '@helexa/core';
import test from 'ava';
import type { Architecture } from '../architecture.js';
import { word } from '../program.js';
import { compileTiny, tiny, tinyWeights } from '../testing/tiny-model.js';

const opsOf = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(' ')[2]!);
const times = (ops: readonly string[], op: string): number => ops.filter((other) => other === op).length;

test('shardGraph sums twice in each layer and once after a divided embedding', (t) => {
  for (const ranks of [2, 4])
    for (const { text } of compileTiny({ ranks, config: { vocab: 52 } }).programs) {
      t.is(times(opsOf(text), 'all_reduce'), 2 * 2 + 1);
      t.is(times(opsOf(text), 'gather'), 1);
    }
  t.is(times(opsOf(compileTiny().programs[0]!.text), 'all_reduce'), 0);
});

test('shardGraph gives all ranks the same ops in the same order', (t) => {
  const [first, ...others] = compileTiny({ ranks: 4 }).programs.map((program) => opsOf(program.text));
  for (const ops of others) t.deepEqual(ops, first);
});

test('shardGraph derives widths, cache and vocabulary from what a rank holds', (t) => {
  const { programs } = compileTiny({ ranks: 4, config: { vocab: 50 } });
  t.deepEqual(
    programs.map((program) => program.kv),
    programs.map(() => [
      { kvHeads: 1, headDim: 16 },
      { kvHeads: 1, headDim: 16 },
    ]),
  );
  t.deepEqual(
    programs.map((program) => program.words[word.params]),
    [0, 13, 25, 38],
  );
  t.deepEqual(
    programs.map((program) => program.tensors.find((tensor) => tensor.name === 'embed')!.rows),
    [13, 12, 13, 12],
  );
  t.regex(programs[3]!.text, /gather sampled 50x12 .*columnStart=38/u);
});

test('shardGraph names both slots when two rows follow different cuts', (t) => {
  const architecture: Architecture = {
    ...tiny,
    weights: (config) => {
      const table = tinyWeights(config as never);
      const other = { name: 'other', unit: 'columns', count: 96 };
      const rows = table.rows.map((row) =>
        row.slot === 'down' ? { ...row, cut: { axis: 'cols', cut: other } as const } : row,
      );
      return { ...table, rows };
    },
  };
  const error = t.throws(() => compileTiny({ architecture, ranks: 2 })) as CortexError;
  t.is(error.code, 'cannot_shard');
  t.regex(error.message, /^Cannot shard 'layers\.0\.down' over 2 ranks: .*'inter'.*'other'.*'layers\.0\.gateUp'/u);
});

test('shardGraph refuses a bias that every rank would add to a partial sum', (t) => {
  const architecture: Architecture = {
    ...tiny,
    weights: (config) => {
      const table = tinyWeights(config as never);
      return { ...table, rows: table.rows.map((row) => (row.slot === 'attnOutBias' ? { ...row, once: false } : row)) };
    },
  };
  t.notThrows(() => compileTiny({ architecture, config: { bias: true } }));
  t.throws(() => compileTiny({ architecture, config: { bias: true }, ranks: 2 }), {
    message: /^Cannot shard 'layers\.0\.attnOut'/u,
  });
});
