import type { GgufValue } from '@helexa/core';
import {
  compileFromConfig,
  listCheckpointTensors,
  nullBackend,
  paperCheckpoint,
  resolveWeights,
  takePart,
} from '@helexa/graph';
import test from 'ava';
import { ggufConfig, type HybridConfig } from './config.js';
import { qwen3Next, qwen35 } from './qwen3-next.js';

/** Two key heads of 16, six value heads of 16: each key head serves three. */
const metadataOf = (name: string, more: readonly (readonly [string, GgufValue])[] = []) =>
  new Map<string, GgufValue>([
    ['general.architecture', name],
    ...[
      ['block_count', 4],
      ['context_length', 32768],
      ['embedding_length', 64],
      ['feed_forward_length', 160],
      ['vocab_size', 640],
      ['attention.head_count', 4],
      ['attention.head_count_kv', 2],
      ['attention.key_length', 64],
      ['attention.layer_norm_rms_epsilon', 1e-6],
      ['rope.freq_base', 10000000],
      ['rope.dimension_count', 16],
      ['rope.dimension_sections', [3, 3, 2, 0]],
      ['ssm.conv_kernel', 4],
      ['ssm.state_size', 16],
      ['ssm.group_count', 2],
      ['ssm.time_step_rank', 6],
      ['ssm.inner_size', 96],
      ...more,
    ].map(([key, value]) => [`${name}.${key}`, value] as [string, GgufValue]),
  ]);

const parse = (metadata: ReadonlyMap<string, GgufValue>): HybridConfig =>
  qwen35.parseConfig(ggufConfig(metadata), 'm.gguf') as HybridConfig;

test('ggufConfig reads a hybrid: kinds of layers, heads of the delta net, what is rotated', (t) => {
  const config = parse(metadataOf('qwen35'));
  t.like(config, {
    linear_num_key_heads: 2,
    linear_num_value_heads: 6,
    linear_key_head_dim: 16,
    linear_value_head_dim: 16,
    rotaryDim: 16,
    sections: [3, 2],
    tiledValueHeads: true,
    tie_word_embeddings: false,
  });
  t.deepEqual(config.layerTypes, ['linear_attention', 'linear_attention', 'linear_attention', 'full_attention']);
  t.false(parse(metadataOf('qwen3next')).tiledValueHeads);
});

test('ggufConfig counts no block that predicts further tokens, and none of its tensors is expected', (t) => {
  const config = parse(metadataOf('qwen35', [['nextn_predict_layers', 1]]));
  t.is(config.num_hidden_layers, 3);
  t.true(qwen35.weights(config).ignored.includes('blk.3.*'));
});

test('ggufConfig takes heads and kinds of layers that are told one by one', (t) => {
  const config = parse(
    metadataOf('qwen35', [
      ['attention.head_count_kv', [0, 2, 0, 2]],
      ['attention.recurrent_layers', [true, false, true, false]],
    ]),
  );
  t.is(config.num_key_value_heads, 2);
  t.deepEqual(config.layerTypes, ['linear_attention', 'full_attention', 'linear_attention', 'full_attention']);
});

test('qwen3_next and qwen3_5 name the gates of a GGUF file as each does', (t) => {
  const names = (architecture: typeof qwen35, name: string) =>
    new Set(listCheckpointTensors(architecture.weights(parse(metadataOf(name))), 'gguf').map((tensor) => tensor.name));
  t.true(names(qwen35, 'qwen35').has('blk.0.ssm_beta.weight'));
  t.false(names(qwen35, 'qwen35').has('blk.0.ssm_ba.weight'));
  t.true(names(qwen3Next, 'qwen3next').has('blk.0.ssm_ba.weight'));
  t.true(names(qwen35, 'qwen35').has('blk.0.ssm_a'));
});

/** Runs of a tensor's rows, or of its columns in elements, that a rank reads. */
function runsOf(slot: string, rank: number): readonly (readonly [start: number, count: number])[] {
  const table = qwen35.weights(parse(metadataOf('qwen35')));
  const checkpoint = paperCheckpoint(table, { kind: 'gguf', format: () => 'F32' });
  const bound = takePart(resolveWeights(table, checkpoint, new Set(['F32'])), { rank, ranks: 2 });
  const index = bound.tensors.findIndex((tensor) => tensor.name === slot);
  const fill = bound.fills[index]!;
  if (fill.kind !== 'read') return [];
  return fill.ranges.map(({ entry, offset, rowBytes, rows }) => {
    const wholeRow = 4 * (entry.shape.length === 1 ? 1 : entry.shape[1]!);
    const from = offset - entry.begin;
    return rowBytes === wholeRow ? [from / wholeRow, rows] : [(from % wholeRow) / 4, rowBytes / 4];
  });
}

test('a rank takes its key heads out of each group of tiled value heads, rows and columns alike', (t) => {
  // Groups of two value heads, one for each key head: rank 1 takes the second of each.
  t.deepEqual(runsOf('layers.0.deltaZba.z', 1), [
    [16, 16],
    [48, 16],
    [80, 16],
  ]);
  t.deepEqual(runsOf('layers.0.decay', 0), [
    [0, 1],
    [2, 1],
    [4, 1],
  ]);
  t.deepEqual(runsOf('layers.0.deltaOut', 1).slice(0, 3), [
    [16, 16],
    [48, 16],
    [80, 16],
  ]);
  // The fused region has queries and keys before the values.
  t.deepEqual(runsOf('layers.0.deltaQkv.q', 1), [[16, 16]]);
  t.deepEqual(runsOf('layers.0.deltaQkv.k', 1), [[48, 16]]);
  t.deepEqual(runsOf('layers.0.conv.v', 1), [
    [80, 16],
    [112, 16],
    [144, 16],
  ]);
});

test('a program of a tiled file says so to the delta rule, on every rank', (t) => {
  const config = parse(metadataOf('qwen35'));
  const limits = {
    maxRows: 16,
    maxSequences: 2,
    maxSampled: 2,
    maxContext: 64,
    pages: 2,
    vocab: 640,
    maxBias: 0,
    maxTopLogprobs: 0,
    exposeLogits: false,
  };
  const target = { architecture: qwen35, config, backend: nullBackend(), limits, kind: 'gguf' as const };
  const { programs } = compileFromConfig({ ...target, ranks: 2, format: () => 'F32' });
  for (const { text } of programs)
    t.is(text.split('\n').filter((line) => / gated_delta /u.test(line) && /tiled=1/u.test(line)).length, 3);
});
