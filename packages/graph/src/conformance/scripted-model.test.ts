import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Checkpoint } from '@helexa/core';
import test from 'ava';
import { referenceBackend } from '../backends/reference.js';
import { paperCheckpoint } from '../checkpoint-tensors.js';
import { type TinyConfig, tiny, tinyConfig, tinyWeights } from '../testing/tiny-model.js';
import { largestDifference, ScriptedModel } from './scripted-model.js';

/** A checkpoint whose tensors hold numbers of a fixed sequence in [-0.5, 0.5). */
async function writeCheckpoint(folder: string, config: TinyConfig): Promise<Checkpoint> {
  const paper = paperCheckpoint(tinyWeights(config), { format: () => 'F32', config });
  const file = join(folder, 'weights');
  const size = Math.max(...[...paper.tensors.values()].map((entry) => entry.end));
  let state = 1;
  const values = Float32Array.from({ length: size / 4 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
  await writeFile(file, new Uint8Array(values.buffer));
  return { ...paper, tensors: new Map([...paper.tensors].map(([name, entry]) => [name, { ...entry, file }])) };
}

// Float64 sums in another order; a bias added twice or a vocabulary share one row off moves logits by over 0.01.
const bound = 1e-5;

test('ScriptedModel gives the same logits over ranks with an uneven vocabulary, shared kv heads and biases', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cortex-graph-'));
  try {
    const ids = [0, 49, 12, 13, 25, 37, 38, 7];
    for (const bias of [false, true]) {
      const config = { ...tinyConfig, bias };
      const checkpoint = await writeCheckpoint(folder, config);
      const answers: Float32Array[][] = [];
      for (const [ranks, fused] of [
        [1, true],
        [1, false],
        [2, true],
        [4, true],
        [4, false],
      ] as const) {
        const backend = referenceBackend(fused ? {} : { fusions: [] });
        const model = await ScriptedModel.load({ architecture: tiny, config, checkpoint, backend, ranks });
        answers.push(await model.prefill(ids, [5, 1]));
        await model.dispose();
      }
      const [first, ...others] = answers;
      t.true(largestDifference(first!, [...first!].reverse()) > 0.01, 'logits must differ from row to row');
      for (const other of others) t.true(largestDifference(first!, other) <= bound);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('largestDifference never calls a NaN or a missing row equal', (t) => {
  const row = Float32Array.of(1, 2);
  t.is(largestDifference([row], [Float32Array.of(1, 2.5)]), 0.5);
  t.is(largestDifference([row], [Float32Array.of(1, Number.NaN)]), Number.POSITIVE_INFINITY);
  t.is(largestDifference([row], []), Number.POSITIVE_INFINITY);
});
