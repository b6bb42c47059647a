import type { Checkpoint, CortexError, TensorEntry, WeightFormat } from '@helexa/core';
import test from 'ava';
import { bindWeights } from './bind-weights.js';
import { paperCheckpoint } from './checkpoint-tensors.js';
import { tinyConfig, tinyWeights } from './testing/tiny-model.js';
import { fusedRow, matrixRow, named } from './weight-rows.js';
import type { Fill, ReadRange, WeightsTable } from './weights.js';

const formats: ReadonlySet<WeightFormat> = new Set(['F32', 'BF16', 'Q8_0', 'Q4_K']);
const paper = (table: WeightsTable) => paperCheckpoint(table, { format: () => 'BF16' });
const rangesOf = (fill: Fill | undefined): readonly ReadRange[] => (fill?.kind === 'read' ? fill.ranges : []);

function change(checkpoint: Checkpoint, name: string, entry: Partial<TensorEntry> | null): Checkpoint {
  const tensors = new Map(checkpoint.tensors);
  const old = tensors.get(name);
  tensors.delete(name);
  if (entry) tensors.set(entry.name ?? name, { ...old!, ...entry });
  return { ...checkpoint, tensors };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as CortexError).code;
  }
  return 'none';
}

test('bindWeights reads every byte of a divided tensor once over all ranks, and all of it on one', (t) => {
  const table = tinyWeights({ ...tinyConfig, bias: true });
  const checkpoint = paper(table);
  for (const ranks of [1, 2]) {
    const reads = new Map<string, Uint8Array>();
    const bound = Array.from({ length: ranks }, (_, rank) => bindWeights(table, checkpoint, rank, ranks, formats));
    for (const { fills } of bound)
      for (const range of fills.flatMap(rangesOf)) {
        const { begin, end, name } = range.entry;
        const seen = reads.get(name) ?? new Uint8Array(end - begin);
        reads.set(name, seen);
        for (let row = 0; row < range.rows; row++)
          for (let byte = 0; byte < range.rowBytes; byte++)
            seen[range.offset - begin + row * range.strideBytes + byte]!++;
      }
    t.is(reads.size, checkpoint.tensors.size);
    for (const [name, seen] of reads) {
      const times = /norm/i.test(name) ? ranks : 1;
      t.true(
        seen.every((count) => count === times),
        `${name} over ${ranks} ranks`,
      );
    }
  }
});

test('bindWeights joins neighbouring rows into one range, and columns of all rows into one strided range', (t) => {
  const table = tinyWeights(tinyConfig);
  const { tensors, fills } = bindWeights(table, paper(table), 1, 2, formats);
  const fill = (name: string) => rangesOf(fills[tensors.findIndex((tensor) => tensor.name === name)]);
  const [q, ...more] = fill('layers.0.qkv.q');
  t.is(more.length, 0);
  t.like(q, { rowStart: 0, rows: 32, rowBytes: 128, strideBytes: 128 });
  t.is(q!.offset, q!.entry.begin + 32 * 128);
  t.like(fill('layers.0.down')[0], { rows: 64, rowBytes: 96, strideBytes: 192, rowByte: 0 });
  t.is(fill('layers.0.down').length, 1);
});

test('bindWeights reads rows that a file keeps in pairs in two strides for each head', (t) => {
  const headDim = 8;
  const row = (at: number): number => at - (at % headDim) + 2 * (at % 4) + Math.floor((at % headDim) / 4);
  const table: WeightsTable = { rows: [matrixRow('q', [16, 4], named('q', 'q', { row }))], ignored: [] };
  const checkpoint = paperCheckpoint(table, { kind: 'gguf', format: () => 'F32' });
  const [fill] = bindWeights(table, checkpoint, 0, 1, formats).fills;
  t.deepEqual(
    rangesOf(fill).map(({ rowStart, rows, offset, strideBytes }) => [rowStart, rows, offset / 16, strideBytes / 16]),
    [
      [0, 4, 0, 2],
      [4, 4, 1, 2],
      [8, 4, 8, 2],
      [12, 4, 9, 2],
    ],
  );
});

test('bindWeights says where in its row each group of tiled columns goes', (t) => {
  const cut = { name: 'delta', unit: 'key heads', count: 2 };
  const table: WeightsTable = {
    rows: [matrixRow('out', [4, 12], named('out', 'out'), { cut: { axis: 'cols', cut, outer: 3 } })],
    ignored: [],
  };
  const { tensors, fills } = bindWeights(table, paper(table), 1, 2, formats);
  t.is(tensors[0]!.cols, 6);
  t.deepEqual(
    rangesOf(fills[0]).map(({ offset, rowBytes, rowByte, strideBytes }) => [offset, rowBytes, rowByte, strideBytes]),
    [
      [4, 4, 0, 24],
      [12, 4, 4, 24],
      [20, 4, 8, 24],
    ],
  );
});

test('bindWeights gives a tied slot the tensor of its target and no second copy', (t) => {
  const table = tinyWeights(tinyConfig);
  const tied = bindWeights(table, change(paper(table), 'head', null), 0, 1, formats);
  const untied = bindWeights(table, paper(table), 0, 1, formats);
  t.is(tied.weights.get('head')!.segments[0]!.tensor, tied.weights.get('embed')!.segments[0]!.tensor);
  t.is(untied.tensors.length - tied.tensors.length, 1);
});

test('bindWeights lets rank 0 alone hold a bias that a sum must carry once', (t) => {
  const table = tinyWeights({ ...tinyConfig, bias: true });
  const kinds = [0, 1].map((rank) => {
    const { tensors, fills } = bindWeights(table, paper(table), rank, 2, formats);
    return fills[tensors.findIndex((tensor) => tensor.name === 'layers.1.attnOutBias')]?.kind;
  });
  t.deepEqual(kinds, ['read', 'zeros']);
});

test('bindWeights makes one tensor of the segments of a vector', (t) => {
  const table = tinyWeights({ ...tinyConfig, bias: true });
  const { tensors, fills, weights } = bindWeights(table, paper(table), 0, 1, formats);
  const bias = weights.get('layers.0.qkvBias')!;
  t.is(new Set(bias.segments.map((segment) => segment.tensor)).size, 1);
  t.like(tensors[bias.segments[0]!.tensor], { format: 'F32', rows: 128, cols: 1 });
  t.deepEqual(
    rangesOf(fills[bias.segments[0]!.tensor]).map((range) => range.rowStart),
    [0, 64, 96],
  );
});

test('bindWeights refuses a missing, unexpected, misshapen or unsupported tensor before a byte is read', (t) => {
  const table = tinyWeights(tinyConfig);
  const bind = (checkpoint: Checkpoint) => () => bindWeights(table, checkpoint, 0, 1, formats);
  const whole = paper(table);
  t.is(codeOf(bind(change(whole, 'l.1.down', null))), 'tensor_missing');
  t.is(codeOf(bind(change(whole, 'norm', { shape: [65] }))), 'tensor_shape');
  t.is(codeOf(bind(change(whole, 'norm', { shape: [1, 64] }))), 'tensor_shape');
  t.is(codeOf(bind(change(whole, 'l.0.up', { format: 'F8_E4M3' }))), 'tensor_format');
  t.is(codeOf(bind(change(whole, 'norm', { format: 'Q8_0' }))), 'tensor_format');
  const spare = { ...whole, tensors: new Map([...whole.tensors, ['l.2.up', whole.tensors.get('l.0.up')!]]) };
  t.is(codeOf(bind(spare)), 'tensor_unexpected');
  const ignored = { ...whole, tensors: new Map([...whole.tensors, ['l.0.inv_freq', whole.tensors.get('norm')!]]) };
  t.is(codeOf(bind(ignored)), 'none');
});

test('bindWeights refuses a row of which only some tensors are there, even an optional one', (t) => {
  const segments = ['a', 'b'].map((name) => ({ name, rows: 2, ...named(name, name) }));
  const table: WeightsTable = { rows: [fusedRow('ab', null, segments, { optional: true })], ignored: [] };
  const whole = paper(table);
  t.is(
    codeOf(() => bindWeights(table, change(whole, 'b', null), 0, 1, formats)),
    'tensor_missing',
  );
  const none = change(change(whole, 'a', null), 'b', null);
  t.is(bindWeights(table, none, 0, 1, formats).weights.size, 0);
});

test('bindWeights refuses to part a quantised block and names rank counts that do not', (t) => {
  const cut = { name: 'inter', unit: 'columns', count: 512 };
  const table: WeightsTable = {
    rows: [matrixRow('down', [4, 512], named('down', 'down'), { cut: { axis: 'cols', cut } })],
    ignored: [],
  };
  const checkpoint = paperCheckpoint(table, { format: () => 'Q4_K' });
  const error = t.throws(() => bindWeights(table, checkpoint, 0, 4, formats)) as CortexError;
  t.is(
    error.message,
    "Cannot shard 'down' over 4 ranks: a rank's share is 128 columns of format Q4_K; it must be whole blocks of 256",
  );
  t.is(error.suggestion, 'Use --tp 1 or --tp 2');
});
