import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CortexError } from '@helexa/core';
import test from 'ava';
import { addonUnderTest } from './addon.fixture.js';
import { cpuBackend } from './index.js';
import { RandomModel, randomCheckpoint, randomTokens, smallModel, testLimits } from './random-model.fixture.js';

const codeOf = async (action: () => Promise<unknown>): Promise<string> => {
  try {
    await action();
    return 'none';
  } catch (error) {
    return CortexError.isInstance(error) ? error.code : String(error);
  }
};

test('dispose ends models in every phase and leaves nothing running', async (t) => {
  const { checkpoint, dispose } = randomCheckpoint(smallModel);
  const tokens = randomTokens(90, smallModel.vocab);
  try {
    for (let round = 0; round < 6; round++) {
      const backend = cpuBackend(addonUnderTest());
      const load = () => RandomModel.load({ config: smallModel, checkpoint, backend, threads: 1 + (round % 3) });
      const [stepping, idle] = await Promise.all([load(), load()]);
      stepping!.write([{ slot: 0, tokens, past: 0 }]);
      const step = stepping!.device.step();
      const late = load();
      // In turn: model first, backend first, both at once; while a step runs and another model loads.
      const ends =
        round % 2 === 0 ? [stepping!.dispose(), backend.dispose()] : [backend.dispose(), stepping!.dispose()];
      t.true((await step).deviceNs > 0);
      await Promise.all(ends);
      t.is(await codeOf(() => idle!.device.step()), 'disposed');
      t.regex(await codeOf(() => late), /^(none|disposed)$/);
      t.is(await codeOf(() => load()), 'disposed');
      await backend.dispose();
    }
  } finally {
    dispose();
  }
});

test('step refuses a second one while the first runs, and both models of a device advance', async (t) => {
  const { checkpoint, dispose } = randomCheckpoint(smallModel);
  const backend = cpuBackend(addonUnderTest());
  const tokens = randomTokens(64, smallModel.vocab);
  try {
    const [a, b] = await Promise.all([
      RandomModel.load({ config: smallModel, checkpoint, backend, threads: 2 }),
      RandomModel.load({ config: smallModel, checkpoint, backend, threads: 1 }),
    ]);
    a!.write([{ slot: 0, tokens, past: 0 }]);
    const first = a!.device.step();
    t.is(await codeOf(() => a!.device.step()), 'step_invalid');
    await first;
    const run = async (model: RandomModel) => {
      const logits: Float32Array[] = [];
      for (let past = 0; past < 20; past++)
        logits.push(...(await model.step([{ slot: 1, tokens: tokens.slice(past, past + 1), past }])));
      return logits;
    };
    const [fromA, fromB] = await Promise.all([run(a!), run(b!)]);
    t.deepEqual(fromA, fromB);
  } finally {
    await backend.dispose();
    dispose();
  }
});

test('load refuses what memory cannot hold, before it takes any', async (t) => {
  const backend = cpuBackend(addonUnderTest());
  const limits = testLimits(64, { pages: 1 << 26 });
  const program = {
    rank: 0,
    ranks: 1,
    words: new Int32Array(0),
    tensors: [],
    arenaElements: 0,
    kv: [{ kvHeads: 64, headDim: 256 }],
    state: [],
    vocab: 64,
    text: '',
  };
  const load = () => backend.load({ programs: [program], devices: [0], limits, kvFormat: 'F32' });
  t.is(await codeOf(load), 'out_of_memory');
  t.is(
    await codeOf(() => backend.load({ programs: [program], devices: [1], limits, kvFormat: 'F32' })),
    'program_invalid',
  );
  await backend.dispose();
});

test('a process that disposes nothing ends by itself', async (t) => {
  const script = fileURLToPath(new URL('./forgetful-process.fixture.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  t.is(stdout, 'stepped\n');
});

test('readBandwidth reads a buffer and says how fast; a disposed backend refuses', async (t) => {
  const backend = cpuBackend(addonUnderTest());
  const bytesPerSecond = await backend.readBandwidth!(1);
  t.true(Number.isFinite(bytesPerSecond) && bytesPerSecond > 1e7, `${bytesPerSecond}`);
  await backend.dispose();
  t.is(await codeOf(() => backend.readBandwidth!(1)), 'disposed');
});
