import { CortexError, type WeightFormat } from '@helexa/core';
import { convertWeights, quantise } from '@helexa/graph';
import test from 'ava';
import fc from 'fast-check';
import { addonUnderTest } from './addon.fixture.js';
import { cpuBackend } from './index.js';

// Bound: equality of every byte with the encoders in graph, which say what a format means. Mutations that break it: a sum in
// float32, a product fused with a sum, ties away from zero, a try of the search left out or another order of them.
const blocks = ['Q8_0', 'Q4_0', 'Q4_K', 'Q5_K', 'Q6_K'] as const;
const floats = ['F32', 'F16', 'BF16'] as const;

/** 512 numbers in one of several characters: bell-like, of very different sizes, with many equal ones, on one side of 0. */
const numbers = fc
  .record({
    values: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 512, maxLength: 512 }),
    exponent: fc.integer({ min: -30, max: 12 }),
    character: fc.constantFrom('even', 'cubed', 'steps', 'positive', 'sparse', 'constant'),
  })
  .map(({ values, exponent, character }) =>
    Float32Array.from(values, (value, index) => {
      const shaped = {
        even: value,
        cubed: value ** 3,
        steps: Math.round(value * 4) / 4,
        positive: Math.abs(value),
        sparse: index % 7 === 0 ? value : 0,
        constant: values[index >> 5]!,
      }[character];
      return shaped * 2 ** exponent;
    }),
  );

const native = async (from: WeightFormat, to: WeightFormat, bytes: Uint8Array): Promise<Uint8Array> => {
  const backend = cpuBackend(addonUnderTest());
  try {
    return await backend.convertWeights!(from, to, bytes);
  } finally {
    await backend.dispose();
  }
};

for (const to of blocks)
  test(`convertWeights makes the bytes of ${to} that the encoder in graph makes`, async (t) => {
    const samples = [
      ...fc.sample(numbers, { numRuns: 40, seed: 7 }),
      new Float32Array(512),
      new Float32Array(512).fill(-0),
    ];
    for (const from of floats)
      for (const values of samples) {
        const source = quantise(from, values);
        t.deepEqual(await native(from, to, source), convertWeights(from, to, source), `from ${from}`);
      }
  });

test('convertWeights refuses what is not finite, as the encoders do', async (t) => {
  const values = new Float32Array(256);
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
    values[200] = wrong;
    const bytes = quantise('F32', values);
    for (const convert of [async () => convertWeights('F32', 'Q4_K', bytes), () => native('F32', 'Q4_K', bytes)]) {
      const error = await t.throwsAsync(convert);
      t.true(CortexError.isInstance(error) && error.code === 'weight_bytes');
      t.regex(error.message, /not finite/u);
    }
  }
});

test('convertWeights refuses bytes that are no whole blocks', async (t) => {
  await t.throwsAsync(native('F32', 'Q8_0', new Uint8Array(4 * 31)), { message: /whole blocks/u });
});

test('convertWeights leaves the JavaScript thread free', async (t) => {
  const backend = cpuBackend(addonUnderTest());
  const source = quantise(
    'F32',
    Float32Array.from({ length: 2 ** 18 }, (_, index) => Math.sin(index)),
  );
  let turns = 0;
  let isDone = false;
  const turning = (async () => {
    while (!isDone) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
  })();
  const parts = await Promise.all([1, 2, 3].map(() => backend.convertWeights!('F32', 'Q4_K', source)));
  isDone = true;
  await turning;
  t.true(turns > 1, 'the event loop turned while weights were converted');
  t.deepEqual(parts[0], parts[2]);
  await backend.dispose();
});
