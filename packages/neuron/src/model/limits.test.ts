import type { MemoryPlan, ModelFacts } from '@helexa/graph';
import test from 'ava';
import { draftLimits, fitDevices, fitLimits, type RequestedLimits } from './limits.js';

const mib = 2 ** 20;
const facts: ModelFacts = {
  vocab: 1000,
  hidden: 64,
  layers: 1,
  maxContext: 4096,
  state: [{ kind: 'kv', kvHeads: 2, headDim: 128 }],
};
/** 1 KiB a token, so a context takes 4 MiB; `fixed` bytes for everything else. */
const planOf = (fixed: number): MemoryPlan => ({
  ranks: [
    {
      weightBytes: fixed,
      kvBytesPerToken: 1024,
      kvBytes: 0,
      stateBytesPerSequence: 0,
      stateBytes: 0,
      activationBytes: 0,
      stepBytes: 0,
      totalBytes: fixed,
    },
  ],
});
const fit = (availableBytes: number, requested: RequestedLimits = {}, fixed = 0) =>
  fitLimits(draftLimits(facts, requested), planOf(fixed), availableBytes, requested);

test('fitLimits gives every sequence a full context when memory is plenty', (t) => {
  const { limits, notes } = fit(65_536 * mib);
  t.like(limits, { maxRows: 512, maxSequences: 8, maxSampled: 8, maxContext: 4096, pages: 8 * 64, vocab: 1000 });
  t.deepEqual(notes, []);
});

test('fitLimits takes half of what is left when not every sequence can have a full context', (t) => {
  // 128 MiB stay free; of the other 24 MiB half are 192 pages.
  const { limits, notes } = fit(152 * mib);
  t.like(limits, { pages: 192, maxContext: 4096 });
  t.deepEqual(notes, []);
});

test('fitLimits keeps one full context even if that is more than half', (t) => {
  t.like(fit(134 * mib).limits, { pages: 64, maxContext: 4096 });
});

test('fitLimits shortens the context and says so when not even one fits', (t) => {
  const { limits, notes } = fit(130 * mib);
  t.like(limits, { pages: 32, maxContext: 2048 });
  t.is(notes.length, 2);
});

test('fitLimits refuses when not one page fits', (t) => {
  t.throws(() => fit(65_536 * mib, {}, 65_536 * mib), { code: 'model_does_not_fit' });
});

test('fitLimits does not take 0 free bytes literally', (t) => {
  t.is(fit(0).limits.pages, 512);
});

test('fitLimits honours the pages asked for beyond the polite half, and tells what it cannot', (t) => {
  t.is(fit(152 * mib, { pages: 300 }).limits.pages, 300);
  const { limits, notes } = fit(152 * mib, { pages: 1000, maxContext: 10_000 });
  t.like(limits, { pages: 384, maxContext: 4096 });
  t.is(notes.length, 2);
});

test('fitDevices lets the tightest device decide, whichever it is', (t) => {
  const plan = { ranks: [...planOf(0).ranks, ...planOf(0).ranks] };
  const draft = draftLimits(facts, {});
  const fitted = (first: number, second: number) =>
    fitDevices(
      draft,
      plan,
      [
        { ranks: [0], freeBytes: first * mib },
        { ranks: [1], freeBytes: second * mib },
      ],
      {},
    );
  t.deepEqual(fitted(65_536, 134), fit(134 * mib));
  t.deepEqual(fitted(134, 65_536), fit(134 * mib));
  t.throws(() => fitted(65_536, 64), { code: 'model_does_not_fit' });
});
