import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@helexa/core';
import { chunkedGatedDelta, createArchitectureRegistry, referenceBackend } from '@helexa/graph';
import { largestDifference, ScriptedModel } from '@helexa/graph/conformance';
import test from 'ava';
import { architectures } from './index.js';

interface Golden {
  readonly ids: readonly number[];
  readonly greedy: readonly number[];
}

/** Float64 sums in another order. A chunk that begins one token late moves logits by over 0.1. */
const bound = 1e-6;

for (const name of ['next', 'dense', 'moe'])
  test(`a hybrid gives its golden tokens when prompts are computed in chunks: ${name}`, async (t) => {
    const folder = fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
    const checkpoint = await openCheckpoint(folder);
    const found = createArchitectureRegistry(architectures).forCheckpoint(checkpoint);
    const { cases } = JSON.parse(readFileSync(`${folder}/expected/cases.json`, 'utf8')) as { cases: Golden[] };
    const { ids, greedy } = cases.reduce((longest, one) => (one.ids.length > longest.ids.length ? one : longest));
    t.true(ids.length > 64, 'the case must cross a chunk');
    const load = (backend: ReturnType<typeof referenceBackend>) =>
      ScriptedModel.load({ ...found, checkpoint, backend });
    const model = await load(referenceBackend({ overrides: { gated_delta: chunkedGatedDelta() } }));
    t.deepEqual(await model.greedy(ids, 4), greedy.slice(0, 4));
    const plain = await load(referenceBackend());
    const wanted = await plain.prefill(ids);
    for (const pieces of [[ids.length], [30, 35]]) {
      const difference = largestDifference(await model.prefill(ids, pieces), wanted);
      t.true(difference <= bound, `${pieces}: ${difference}`);
    }
    await model.dispose();
    await plain.dispose();
  });
