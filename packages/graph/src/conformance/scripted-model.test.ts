import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { referenceBackend } from '../backends/reference.js';
import { tiny, tinyConfig, tinyWeights } from '../testing/tiny-model.js';
import { writeRandomCheckpoint } from './random-checkpoint.js';
import { largestDifference, ScriptedModel } from './scripted-model.js';

// Float64 sums in another order; a bias added twice or a vocabulary share one row off moves logits by over 0.01.
const bound = 1e-5;

test('ScriptedModel gives the same logits over ranks with an uneven vocabulary, shared kv heads and biases', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cortex-graph-'));
  try {
    const ids = [0, 49, 12, 13, 25, 37, 38, 7];
    for (const bias of [false, true]) {
      const config = { ...tinyConfig, bias };
      const checkpoint = await writeRandomCheckpoint(folder, tinyWeights(config), config);
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
