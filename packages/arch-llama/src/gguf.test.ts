import type { GgufValue } from '@helexa/core';
import { bindWeights, type Fill, paperCheckpoint, type ReadRange } from '@helexa/graph';
import test from 'ava';

import { llama } from './llama.js';

const metadata = new Map<string, GgufValue>([
  ['general.architecture', 'llama'],
  ['llama.block_count', 2],
  ['llama.context_length', 2048],
  ['llama.embedding_length', 64],
  ['llama.feed_forward_length', 128],
  ['llama.attention.head_count', 4],
  ['llama.attention.head_count_kv', [2, 2]],
  ['llama.attention.layer_norm_rms_epsilon', 1e-5],
  ['llama.rope.freq_base', 500000],
  ['tokenizer.ggml.tokens', ['a', 'b', 'c']],
]);
const headDim = 16;
const formats = new Set(['F32'] as const);
const rangesOf = (fill: Fill | undefined): readonly ReadRange[] => (fill?.kind === 'read' ? fill.ranges : []);

function bind(withBiases: boolean) {
  const config = llama.parseConfig(llama.ggufConfig(metadata), 'm.gguf');
  const table = llama.weights(config);
  const paper = paperCheckpoint(table, { kind: 'gguf', format: () => 'F32' });
  const tensors = new Map([...paper.tensors].filter(([name]) => withBiases || !name.endsWith('.bias')));
  const bound = bindWeights(table, { ...paper, tensors }, 0, 1, formats);
  const fillOf = (name: string) => bound.fills[bound.tensors.findIndex((tensor) => tensor.name === name)];
  return { bound, fillOf };
}

/** File row of each row of a tensor. */
function fileRows(ranges: readonly ReadRange[]): number[] {
  const rows: number[] = [];
  for (const { rowStart, rows: count, offset, entry, rowBytes, strideBytes } of ranges)
    for (let row = 0; row < count; row++) rows[rowStart + row] = (offset - entry.begin + row * strideBytes) / rowBytes;
  return rows;
}

test('ggufConfig spells metadata as config.json would', (t) => {
  t.like(llama.parseConfig(llama.ggufConfig(metadata), 'm.gguf'), {
    vocab_size: 3,
    num_key_value_heads: 2,
    head_dim: headDim,
    max_position_embeddings: 2048,
    rope: { theta: 500000, scaling: { type: 'default' } },
  });
  const scaled = new Map([
    ...metadata,
    ['llama.rope.scaling.type', 'linear'],
    ['llama.rope.scaling.factor', 4],
  ] as const);
  t.like(llama.parseConfig(llama.ggufConfig(scaled), 'm.gguf'), { rope: { scaling: { type: 'linear', factor: 4 } } });
});

test('llama undoes the pairing of query and key rows in a GGUF file, and of no others', (t) => {
  const { fillOf } = bind(true);
  // Row h.D + s.D/2 + i lies at h.D + 2i + s.
  const paired = (rows: number): number[] =>
    Array.from({ length: rows }, (_, row) => {
      const within = row % headDim;
      const half = Math.floor(within / (headDim / 2));
      return row - within + 2 * (within - half * (headDim / 2)) + half;
    });
  t.deepEqual(fileRows(rangesOf(fillOf('layers.1.qkv.q'))), paired(64));
  t.deepEqual(fileRows(rangesOf(fillOf('layers.1.qkv.k'))), paired(32));
  const identity = Array.from({ length: 32 }, (_, row) => row);
  t.deepEqual(fileRows(rangesOf(fillOf('layers.1.qkv.v'))), identity);
  const bias = rangesOf(fillOf('layers.1.qkvBias'));
  t.deepEqual(fileRows(bias), [...paired(64), ...paired(32), ...identity]);
});

test('llama uses the biases that a GGUF file has, and none when it has none', (t) => {
  t.true(bind(true).bound.weights.has('layers.0.downBias'));
  t.false(bind(false).bound.weights.has('layers.0.downBias'));
});

test('llama divides its frequencies by the factors of a GGUF file', (t) => {
  const config = llama.parseConfig(llama.ggufConfig(metadata), 'm.gguf');
  const table = llama.weights(config);
  const paper = paperCheckpoint(table, { kind: 'gguf', format: () => 'F32' });
  const entry = { name: 'rope_freqs.weight', format: 'F32', shape: [headDim / 2], file: 'm', begin: 0, end: 32 };
  const tensors = new Map([...paper.tensors, [entry.name, entry]]);
  const fills = (checkpoint: typeof paper) => bindWeights(table, checkpoint, 0, 1, formats).fills;
  const constant = (fill: Fill | undefined) => (fill?.kind === 'constant' ? fill : undefined);
  const without = constant(fills(paper).find((fill) => fill.kind === 'constant'))!;
  const with8 = constant(fills({ ...paper, tensors }).find((fill) => fill.kind === 'constant'))!;
  t.is(without.factors, null);
  t.like(with8.factors?.[0], { entry, rows: headDim / 2 });
  const eights = new Float32Array(headDim / 2).fill(8);
  t.deepEqual(
    with8.values(eights),
    without.values(null).map((value) => value / 8),
  );
});
