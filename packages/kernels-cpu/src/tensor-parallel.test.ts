import test from 'ava';
import { addonUnderTest, isasHere } from './addon.fixture.js';
import { cpuBackend } from './index.js';
import { RandomModel, randomCheckpoint, randomTokens, relativeDistance, smallModel } from './random-model.fixture.js';

// Bound: ranks add float32 sums in another order, and quantise their own columns of the inner values. Mutations that break it:
// a rank left out of a sum, columns gathered at the wrong place, a rank that reads a sum before it is whole.
const bound = { F32: 2e-5, Q8_0: 0.06 } as const;

for (const format of ['F32', 'Q8_0'] as const) {
  test(`cpu: 2 and 4 ranks answer as one does, with fewer and more threads than ranks, ${format}`, async (t) => {
    const config = { ...smallModel, format };
    const { checkpoint, dispose } = randomCheckpoint(config);
    const backend = cpuBackend({ isa: isasHere()[0]!, ...addonUnderTest() });
    const tokens = randomTokens(80, config.vocab);
    try {
      const one = await RandomModel.load({ config, checkpoint, backend, threads: 2, kvFormat: 'F32' });
      const wanted = await one.prefill(tokens, 40);
      for (const [ranks, threads] of [
        [2, 1],
        [2, 5],
        [4, 4],
      ] as const) {
        const model = await RandomModel.load({ config, checkpoint, backend, ranks, threads, kvFormat: 'F32' });
        const logits = await model.prefill(tokens, 40);
        const apart = relativeDistance(logits, wanted);
        t.true(apart < bound[format], `${ranks} ranks, ${threads} threads: ${apart}`);
        t.deepEqual(await model.prefill(tokens, 40), logits, `${ranks} ranks repeat themselves`);
        t.is(model.device.memory.length, ranks);
        await model.dispose();
      }
    } finally {
      await backend.dispose();
      dispose();
    }
  });
}
