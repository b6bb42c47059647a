import test from 'ava';
import { GraphBuilder } from './graph-builder.js';
import { columnOf, rootOf } from './graph-writer.js';
import { ops } from './ops/index.js';
import type { Weight } from './value.js';

const matrix = (slot: string, rows: readonly number[], cols: number): Weight => ({
  slot,
  segments: rows.map((count, index) => ({ name: `s${index}`, rows: count, tensor: index })),
  cols,
  cut: null,
});

const weights = new Map(
  [matrix('embed', [10], 8), matrix('layers.1.qkv', [4, 2, 2], 8), matrix('wide', [8], 8)].map((weight) => [
    weight.slot,
    weight,
  ]),
);
const builder = () => new GraphBuilder(weights, ops);

test('GraphBuilder finds a weight in the open layer first, then in the model', (t) => {
  const b = builder();
  t.false(b.has('qkv'));
  b.layer(1, () => {
    t.is(b.weight('qkv').slot, 'layers.1.qkv');
    t.is(b.weight('embed').slot, 'embed');
    t.throws(() => b.layer(2, () => {}), { message: /layer 1 is still open/u });
  });
  t.throws(() => b.weight('qkv'), { message: /no row of the weights table has this slot/u });
});

test('GraphBuilder takes segments as views of their root, named after the weight', (t) => {
  const b = builder();
  b.layer(1, () => {
    const qkv = b.linear(b.embed(b.weight('embed')), b.weight('qkv'));
    const v = b.segment(qkv, 2);
    t.deepEqual([v.name, v.segments, columnOf(v)], ['layers.1.qkv.s2', [2], 6]);
    t.is(rootOf(v), qkv);
    t.throws(() => b.segment(qkv, 3), { message: /it has 3 segments; segment 3 is wanted/u });
  });
});

test('GraphBuilder numbers names that come again, and refuses widths that do not fit where they are written', (t) => {
  const b = builder();
  const x = b.embed(b.weight('embed'));
  t.is(b.add(x, b.add(x, x)).name, 'add.2');
  t.throws(() => b.layer(1, () => b.add(x, b.segment(b.linear(x, b.weight('qkv')), 0))), {
    message: /layers\.1\.add/u,
  });
});
