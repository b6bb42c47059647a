import { type Backend, referenceBackend } from '@helexa/graph';
import test from 'ava';
import { addonUnderTest, isasHere } from './addon.fixture.js';
import { cpuBackend } from './index.js';
import {
  RandomModel,
  type RandomModelConfig,
  randomCheckpoint,
  randomTokens,
  relativeDistance,
} from './random-model.fixture.js';

// Long enough for three spans of 16 pages, so that partial results are merged.
const length = 2300;
const limits = { maxRows: 256, maxSampled: 256, maxContext: 2304, maxSequences: 2, pages: 72 };
const config: RandomModelConfig = {
  vocab: 48,
  hidden: 32,
  inner: 32,
  layers: 1,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  format: 'F32',
};
// Bound of the float32 sums against float64. Mutations that break it: a span left out, a span merged without its maximum.
const bound = 2e-4;

for (const window of [undefined, 1500]) {
  const what = window === undefined ? 'all keys' : `a window of ${window}`;
  test(`cpu: attention over ${what} of a long sequence merges spans as the reference sums`, async (t) => {
    const own = { ...config, ...(window === undefined ? {} : { window }) };
    const { checkpoint, dispose } = randomCheckpoint(own);
    const tokens = randomTokens(length, config.vocab);
    const load = (backend: Backend, threads: number) =>
      RandomModel.load({ config: own, checkpoint, backend, threads, limits, kvFormat: 'F32' });
    const last = (model: RandomModel) => model.step([{ slot: 0, tokens: tokens.slice(-1), past: length - 1 }]);
    const oracle = await load(referenceBackend(), 1);
    await oracle.prefill(tokens.slice(0, -1), 256);
    const wanted = await last(oracle);
    for (const isa of isasHere()) {
      const backend = cpuBackend({ isa, ...addonUnderTest() });
      // One worker takes whole tiles, eight share the spans of one: the same bits.
      const one = await load(backend, 1);
      const whole = await one.prefill(tokens, 256);
      const apart = relativeDistance(whole.slice(-1), wanted);
      t.true(apart < bound, `${isa}: ${apart}`);
      const eight = await load(backend, 8);
      t.deepEqual(await eight.prefill(tokens, 100), whole);
      t.deepEqual(await last(one), whole.slice(-1));
      t.deepEqual(await last(eight), whole.slice(-1));
      await backend.dispose();
    }
    dispose();
  });
}
