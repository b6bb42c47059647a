import { CortexError } from '@helexa/core';
import {
  type Backend,
  compileFromConfig,
  header,
  instructionWords,
  type ModelSpec,
  maxCopies,
  opcodes,
  type Program,
} from '@helexa/graph';
import test from 'ava';
import fc from 'fast-check';
import { addonUnderTest } from './addon.fixture.js';
import { cpuBackend } from './index.js';
import {
  RandomModel,
  randomArchitecture,
  randomCheckpoint,
  randomTokens,
  recurrentModel,
  smallModel,
  sparseModel,
  testLimits,
} from './random-model.fixture.js';

// Each property would end in a crash, a hang or an untyped error if a word were believed unchecked.
const config = { ...smallModel, layers: 1 };
const limits = testLimits(config.vocab);
const runs = 300;

const compileFor = (backend: Backend, model = config): Program =>
  compileFromConfig({
    architecture: randomArchitecture,
    config: model,
    ranks: 1,
    backend,
    limits,
    format: () => model.format,
  }).programs[0]!;

async function refusedOrRun(backend: Backend, spec: ModelSpec): Promise<void> {
  try {
    const model = await backend.load(spec);
    await model.dispose();
  } catch (error) {
    if (!CortexError.isInstance(error) || error.code !== 'program_invalid') throw error;
  }
}

const anyWord = fc.oneof(
  fc.integer(),
  fc.integer({ min: -4, max: 100 }),
  fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, 2 ** 24, 0x7f800000, 0x7fc00000),
);

test('load answers random programs with program_invalid alone', async (t) => {
  const backend = cpuBackend(addonUnderTest());
  const good = compileFor(backend);
  const opcode = fc.oneof(fc.constantFrom(...Object.values(opcodes).map(({ code }) => code)), anyWord);
  const instruction = fc
    .tuple(opcode, fc.array(anyWord, { minLength: 31, maxLength: 31 }))
    .map(([op, rest]) => [op, ...rest]);
  await fc.assert(
    fc.asyncProperty(fc.array(instruction, { minLength: 1, maxLength: 4 }), async (words) => {
      const program = { ...good, words: Int32Array.from(words.flat()) };
      await refusedOrRun(backend, { programs: [program], devices: [0], limits, kvFormat: 'F16', threads: 1 });
    }),
    { numRuns: runs, seed: 1 },
  );
  await backend.dispose();
  t.pass();
});

for (const [what, subject] of [
  ['dense', config],
  ['sparse', { ...sparseModel, inner: 64, layers: 1 }],
  ['recurrent', { ...recurrentModel, inner: 64, layers: 1 }],
] as const)
  test(`load answers a good ${what} program with a few words changed with program_invalid, or it runs`, async (t) => {
    const backend = cpuBackend(addonUnderTest());
    const { checkpoint, dispose } = randomCheckpoint(subject);
    const good = compileFor(backend, subject);
    const change = fc.tuple(fc.integer({ min: 0, max: good.words.length - 1 }), anyWord);
    const near = fc.tuple(fc.integer({ min: 0, max: good.words.length - 1 }), fc.integer({ min: -64, max: 64 }));
    let ran = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 2 }), fc.array(near, { maxLength: 2 }), async (changes, moves) => {
        const words = good.words.slice();
        for (const [at, value] of changes) words[at] = value;
        for (const [at, by] of moves) words[at] = words[at]! + by;
        try {
          const model = await RandomModel.load({
            config: subject,
            checkpoint,
            backend,
            threads: 2,
            change: (p) => ({ ...p, words }),
          });
          await model.step([{ slot: 0, tokens: randomTokens(9, subject.vocab), past: 0 }]);
          await model.dispose();
          ran++;
        } catch (error) {
          if (!CortexError.isInstance(error) || error.code !== 'program_invalid') throw error;
        }
      }),
      { numRuns: runs, seed: 2 },
    );
    await backend.dispose();
    dispose();
    t.true(ran > 0, 'some changes leave a program that runs');
  });

test('load answers limits, tensors and caches out of range with typed errors alone', async (t) => {
  const backend = cpuBackend(addonUnderTest());
  const good = compileFor(backend);
  const number = fc.oneof(anyWord, fc.double(), fc.constantFrom(Number.NaN, 1e300, -1, 0.5));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('limits', 'tensors', 'kv', 'arenaElements', 'vocab', 'words'),
      fc.constantFrom('rows', 'cols', 'kvHeads', 'headDim', ...Object.keys(limits)),
      fc.nat(),
      number,
      async (what, field, index, value) => {
        const at = <T>(list: readonly T[]): T[] =>
          list.map((item, i) => (i === index % list.length ? { ...item, [field]: value } : item));
        const program = {
          ...good,
          ...(what === 'tensors' ? { tensors: at(good.tensors) } : {}),
          ...(what === 'kv' ? { kv: at(good.kv) } : {}),
          ...(what === 'arenaElements' ? { arenaElements: value } : {}),
          ...(what === 'vocab' ? { vocab: value } : {}),
          ...(what === 'words' ? { words: good.words.subarray(index % instructionWords) } : {}),
        };
        const changed = what === 'limits' && field in limits ? { ...limits, [field]: value } : limits;
        try {
          const spec = { programs: [program], devices: [0], limits: changed, kvFormat: 'F16', threads: 1 } as const;
          await (await backend.load(spec)).dispose();
        } catch (error) {
          if (!CortexError.isInstance(error)) throw error;
          if (error.code !== 'program_invalid' && error.code !== 'out_of_memory') throw error;
        }
      },
    ),
    { numRuns: runs, seed: 3 },
  );
  await backend.dispose();
  t.pass();
});

test('step answers a buffer with any words changed with step_invalid, or it runs', async (t) => {
  const backend = cpuBackend(addonUnderTest());
  const subject = { ...recurrentModel, layers: 1 };
  const { checkpoint, dispose } = randomCheckpoint(subject);
  const more = { maxBias: 3, maxTopLogprobs: 4, snapshots: 2 };
  const model = await RandomModel.load({ config: subject, checkpoint, backend, threads: 2, limits: more });
  const { layout, buffer } = model.device;
  const tokens = randomTokens(90, config.vocab);
  const inputs = layout.output;
  const copies = 2 * maxCopies(layout.limits);
  // Mostly the arrays that a small step reads.
  const place = fc.oneof(
    fc.integer({ min: 0, max: inputs - 1 }),
    fc.constant(layout.header + header.copies),
    fc.nat(copies - 1).map((offset) => layout.stateCopies + offset),
    fc
      .tuple(
        fc.constantFrom(
          'header',
          'tokens',
          'sequenceSlot',
          'sequenceRow',
          'sequenceRows',
          'sequenceLength',
          'sampleRow',
          'sampleSlot',
          'sampleCounter',
          'pageTable',
          'sampling',
          'history',
          'biasToken',
          'biasValue',
        ),
        fc.nat(20),
      )
      .map(([field, offset]) => Math.min(inputs - 1, layout[field as 'header'] + offset)),
  );
  const words = new Int32Array(buffer);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(place, anyWord), { minLength: 1, maxLength: 6 }), async (changes) => {
      words.fill(0, 0, inputs);
      words.fill(0, layout.stateCopies, layout.stateCopies + copies);
      model.write([
        { slot: 0, tokens: tokens.slice(0, 5), past: 0 },
        { slot: 3, tokens: tokens.slice(0, 70), past: 10 },
      ]);
      for (const [at, value] of changes) words[at] = value;
      try {
        await model.device.step();
      } catch (error) {
        if (!CortexError.isInstance(error) || error.code !== 'step_invalid') throw error;
      }
    }),
    { numRuns: 3 * runs, seed: 4 },
  );
  const logits = await model.step([{ slot: 0, tokens: tokens.slice(0, 5), past: 0 }]);
  t.true(logits[0]!.every(Number.isFinite), 'a good step still runs');
  await backend.dispose();
  dispose();
});
