import { FakeClock, settle } from '@helexa/core/testing';
import test from 'ava';
import { fakeDevice, fakeLimits } from '../testing/fake-device.js';
import { collect, fakeEffects, fakeEngine, requestOf } from '../testing/fake-engine.js';
import type { GenerationRequest } from './generation.js';
import type { RejectionReason } from './rejection.js';

const memory = [{ weightBytes: 0, kvBytes: 24 * 2 ** 20, stateBytes: 0, activationBytes: 0, stepBytes: 0 }];

/** An engine whose steps take a second of a fake clock each, and end only when the test says so. */
function heldEngine(options: { seats?: number; pages?: number; admission?: object } = {}) {
  const clock = new FakeClock();
  const { seats = 1, pages = 24, admission } = options;
  const rejected: RejectionReason[] = [];
  const device = { ...fakeDevice({ ...fakeLimits, maxSequences: seats, maxSampled: seats, pages }), memory };
  let isFree = false;
  let go = () => {};
  const engine = fakeEngine({
    device: {
      ...device,
      step: async () => {
        if (!isFree)
          await new Promise<void>((resolve) => {
            go = resolve;
          });
        return await device.step();
      },
    },
    stepTimeoutMs: 1e9,
    ...(admission ? { admission } : {}),
    effects: fakeEffects({
      nowMs: () => clock.now(),
      after: (delayMs, run) => clock.after(delayMs, run),
      onRejected: (reason) => rejected.push(reason),
    }),
  });
  const release = () => {
    isFree = true;
    go();
  };
  return { clock, engine, rejected, release };
}

const ask = (principal: string | null, overrides: Partial<GenerationRequest> = {}) =>
  requestOf([1, 2, 3], { principal, ...overrides });

test('Engine ends a wait for a seat at its deadline, with when to try again', async (t) => {
  const { clock, engine, rejected, release } = heldEngine();
  const first = collect(engine.generate(ask('a')));
  await settle();
  const second = collect(engine.generate(ask('b')));
  const late = t.throwsAsync(second, { code: 'queue_timeout', message: /was busy for the 30000 ms that it waited/ });
  await clock.advance(29_999);
  t.is(engine.load.waiting, 1);
  await clock.advance(1);
  await late;
  t.like(engine.load, { waiting: 0, running: 1, rejections: { timeout: 1 } });
  t.deepEqual(rejected, ['timeout']);
  release();
  await first;
  await engine.idle();
  t.is(clock.pending, 0, 'no deadline is left');
  await engine.close();
});

test('Engine waits longer for pages than for a seat, and says how much memory was wanted', async (t) => {
  const { clock, engine, release } = heldEngine({ seats: 3, pages: 8 });
  const first = collect(engine.generate(ask('a', { maxTokens: 400 })));
  await settle();
  const second = collect(engine.generate(ask('b', { maxTokens: 300 })));
  await clock.advance(200_000);
  t.is(engine.load.waiting, 1, 'a seat is free, the pages are not');
  const late = t.throwsAsync(second, {
    code: 'insufficient_memory',
    message: /needs \d+ bytes of memory; 3145728 are/,
  });
  await clock.advance(40_000);
  await late;
  t.is(engine.load.rejections.kv_timeout, 1);
  release();
  await first;
  await engine.close();
});

test('Engine lets a caller without a principal wait for a withheld seat only so long', async (t) => {
  const { clock, engine, release } = heldEngine({ seats: 2 });
  const first = collect(engine.generate(ask(null)));
  await settle();
  const late = t.throwsAsync(collect(engine.generate(ask(null))), { code: 'anonymous_yield' });
  await settle();
  t.like(engine.load, { running: 1, waiting: 1, anonymousRunning: 1 });
  await clock.advance(30_000);
  await late;
  t.is(engine.load.rejections.anon_yield, 1);
  release();
  await first;
  await engine.close();
});

test('Engine refuses at once what is larger than its whole cache', async (t) => {
  const { engine } = heldEngine({ pages: 4 });
  t.throws(() => engine.generate(ask('a', { maxTokens: 400 })), {
    code: 'prompt_too_long_for_memory',
    message: 'Cannot accept prompt: its key-value cache needs 44040192 bytes; the budget of the model is 25165824',
  });
  t.is(engine.load.rejections.kv_unservable, 1);
  await engine.close();
});

test('Engine turns away at the door who would not get a seat in time, by the measured time of the others', async (t) => {
  const { clock, engine, release } = heldEngine({ admission: { maxWaiting: 100 } });
  const first = collect(engine.generate(ask('a', { maxTokens: 1 })));
  await settle();
  t.notThrows(() => engine.knock('b', 1));
  await clock.advance(10_000);
  release();
  await first;
  const waiting = [1, 2].map(() => collect(engine.generate(ask('a'))));
  // Two are ahead of a third, each for 10 seconds; the one who has none waiting is behind only one.
  t.throws(() => engine.knock('a', 1), { code: 'engine_queue_full', message: /try again in 30 s/ });
  t.notThrows(() => engine.knock('b', 1));
  await Promise.all(waiting);
  await engine.close();
});

test('Engine drains: what waits is turned away, what runs ends, nothing new comes in', async (t) => {
  const { engine, release } = heldEngine();
  const first = collect(engine.generate(ask('a')));
  await settle();
  const waits = t.throwsAsync(collect(engine.generate(ask('b'))), { code: 'shutting_down' });
  const drained = engine.drain();
  await waits;
  t.throws(() => engine.generate(ask('c')), { code: 'shutting_down' });
  release();
  t.is((await first).events.at(-1)?.type, 'generation-end');
  await drained;
  t.like(engine.load, { running: 0, waiting: 0 });
  await engine.close();
});

test('Engine advertises what it enforces: the limit follows the measured speed of prompts, not of cached or short ones', async (t) => {
  const limits = { ...fakeLimits, maxContext: 4096, pages: 128 };
  const base = fakeDevice(limits);
  // 128 rows in 32 seconds: 4 tokens a second.
  const device = { ...base, step: async () => ({ ...(await base.step()), deviceNs: 32e9 }) };
  const engine = fakeEngine({ device, prefillTarget: { seconds: 500, assumedTokensPerSecond: 800 } });
  const prompt = Array.from({ length: 1024 }, (_, index) => index % 900);
  t.is(engine.limit.context, 4096);
  await collect(engine.generate(requestOf([1, 2, 3])));
  t.is(engine.limit.context, 4096, 'a short prompt says nothing');
  await collect(engine.generate(requestOf(prompt)));
  t.is(engine.load.prefillTokensPerSecond, 4);
  t.deepEqual(engine.limit, { context: 1024, input: 512, output: 512 });
  t.throws(() => engine.generate(requestOf(prompt.slice(0, 513), { maxTokens: 8192 })), {
    code: 'context_length_exceeded',
  });
  await collect(engine.generate(requestOf(prompt.slice(0, 512), { maxTokens: 8 })));
  t.is(engine.load.prefillTokensPerSecond, 4, 'a cached prompt says nothing');
  await engine.close();
});
