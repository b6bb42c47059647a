import {
  chooseToken,
  compileFromConfig,
  contractVersion,
  defineArchitecture,
  maskWords,
  matrixRow,
  named,
  type SamplingParameters,
  sampled,
  sampling,
} from '@helexa/graph';
import test from 'ava';
import fc from 'fast-check';
import { addonUnderTest, isasHere } from './addon.fixture.js';
import { cpuBackend } from './index.js';
import { testLimits } from './random-model.fixture.js';

const vocab = 30_011;
const rows = 4;
const limits = testLimits(vocab, {
  maxRows: rows,
  maxSampled: rows,
  maxBias: 4,
  maxTopLogprobs: 8,
  exposeLogits: false,
});

/** The rows of the table are the logits themselves. */
const lookup = defineArchitecture<null>({
  name: 'lookup',
  contractVersion,
  modelTypes: ['lookup'],
  ggufArchitectures: [],
  capabilities: { tensorParallel: true, rewind: true, vision: false },
  parseConfig: () => null,
  ggufConfig: () => ({}),
  facts: () => ({ vocab, hidden: vocab, layers: 0, maxContext: 1 << 20, state: [] }),
  weights: () => ({ rows: [matrixRow('table', [rows, vocab], named('table', ''), { lookup: true })], ignored: [] }),
  forward: (b) => b.sample(b.gatherRows(b.embed(b.weight('table')))),
  sizes: [],
});

/** Peaked, flat, coarse with many ties, and bell-shaped logits. */
const table = Float32Array.from({ length: rows * vocab }, (_, index) => {
  const noise = ((Math.imul(index + 1, 2654435761) >>> 8) / 2 ** 24) * 2 - 1;
  const bell = noise + Math.sin(index * 12.9898) + Math.cos(index * 78.233);
  return [bell * 8, noise * 0.01, Math.round(bell * 2), bell * 2][Math.floor(index / vocab)]!;
});

const parameters = fc.record({
  temperature: fc.constantFrom(0, 0.3, 0.7, 1, 1.5, 4),
  topK: fc.constantFrom(0, 0, 1, 3, 50, 5000, vocab + 1),
  topP: fc.constantFrom(1, 1, 0, 0.1, 0.5, 0.95, 0.999),
  minP: fc.constantFrom(0, 0, 0.01, 0.2, 1),
  repetitionPenalty: fc.constantFrom(1, 1, 1.25, 0.5),
  presencePenalty: fc.constantFrom(0, 0, 0.5, -1.5),
  frequencyPenalty: fc.constantFrom(0, 0, 0.25),
  seedLow: fc.integer(),
  seedHigh: fc.integer(),
  topLogprobs: fc.integer({ min: -1, max: 8 }),
  history: fc.array(fc.nat(vocab - 1), { maxLength: 40 }),
  biases: fc.array(fc.tuple(fc.nat(vocab - 1), fc.constantFrom(-100, 2.5, 30)), { maxLength: 4 }),
  counter: fc.nat(1000),
  /** Every n-th token from an offset on may be chosen; null: no mask. */
  allowed: fc.option(fc.record({ every: fc.constantFrom(1, 2, 7, 5000, vocab), from: fc.nat(50) })),
});

// Bound: the same token in every draw; log-probabilities within 1e-4. Mutations that break it: a cut at a bucket instead of a
// token, ties by the higher id, min-p of the softmax before top-k, penalties over the prompt where the output is meant, the
// mask of the row before.
for (const isa of isasHere()) {
  test(`cpu ${isa}: sample chooses what the definition chooses, over a large vocabulary`, async (t) => {
    const backend = cpuBackend({ isa, ...addonUnderTest() });
    const { programs } = compileFromConfig({
      architecture: lookup,
      config: null,
      ranks: 1,
      backend,
      limits,
      format: () => 'F32',
    });
    const model = await backend.load({ programs, devices: [0], limits, kvFormat: 'F32', threads: 2 });
    await model.upload(0, 0, 0, new Uint8Array(table.buffer));
    await model.seal();
    const { layout } = model;
    const i32 = new Int32Array(model.buffer);
    const f32 = new Float32Array(model.buffer);
    await fc.assert(
      fc.asyncProperty(fc.array(parameters, { minLength: rows, maxLength: rows }), async (slots) => {
        i32.fill(0, 0, layout.output);
        const requests = slots.map(({ history, biases, counter, allowed, ...given }, slot) => {
          const promptLength = history.length >> 1;
          const at = layout.sampling + slot * sampling.size;
          for (const name of [
            'temperature',
            'topP',
            'minP',
            'repetitionPenalty',
            'presencePenalty',
            'frequencyPenalty',
          ] as const)
            f32[at + sampling[name]] = given[name];
          for (const name of ['topK', 'seedLow', 'seedHigh', 'topLogprobs'] as const)
            i32[at + sampling[name]] = given[name];
          i32[at + sampling.historyLength] = history.length;
          i32[at + sampling.promptLength] = promptLength;
          i32[at + sampling.biasCount] = biases.length;
          i32.set(history, layout.history + slot * limits.maxContext);
          for (const [index, [token, value]] of biases.entries()) {
            i32[layout.biasToken + slot * limits.maxBias + index] = token;
            f32[layout.biasValue + slot * limits.maxBias + index] = value;
          }
          i32[layout.tokens + slot] = slot;
          i32[layout.sampleRow + slot] = slot;
          i32[layout.sampleSlot + slot] = slot;
          i32[layout.sampleCounter + slot] = counter;
          const words = maskWords(vocab);
          const mask = new Int32Array(words);
          for (let token = allowed?.from ?? vocab; token < vocab; token += allowed!.every)
            mask[token >>> 5]! |= 1 << (token & 31);
          i32[layout.sampleMasked + slot] = allowed ? 1 : 0;
          i32.set(mask, layout.masks + slot * words);
          const asStored: SamplingParameters = {
            ...given,
            temperature: Math.fround(given.temperature),
            topP: Math.fround(given.topP),
            minP: Math.fround(given.minP),
            history,
            promptLength,
            biasToken: biases.map(([token]) => token),
            biasValue: biases.map(([, value]) => value),
          };
          const logits = table.subarray(slot * vocab, (slot + 1) * vocab);
          return { ...asStored, counter, logits, ...(allowed ? { mask } : {}) };
        });
        i32.set([0, rows, 0, rows, 0], layout.header);
        await model.step();
        for (const [row, request] of requests.entries()) {
          const wanted = chooseToken(request);
          const at = layout.output + row * sampled.size;
          t.is(
            i32[at + sampled.token],
            wanted.token,
            `row ${row} of ${JSON.stringify({ ...request, logits: 0, mask: 0 })}`,
          );
          t.is(i32[at + sampled.flags], wanted.flags);
          t.true(Math.abs(f32[at + sampled.logprob]! - wanted.logprob) < 1e-4);
          for (const [i, { token, logprob }] of wanted.top.entries()) {
            t.is(i32[layout.topToken + row * limits.maxTopLogprobs + i], token);
            t.true(Math.abs(f32[layout.topLogprob + row * limits.maxTopLogprobs + i]! - logprob) < 1e-4);
          }
        }
      }),
      { numRuns: 40, seed: 11 },
    );
    await backend.dispose();
  });
}
