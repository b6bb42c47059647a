import { setImmediate as turn } from 'node:timers/promises';
import { FakeClock, settle } from '@helexa/core/testing';
import test from 'ava';
import fc from 'fast-check';
import { fakeDevice, fakeLimits, fakeToken } from '../testing/fake-device.js';
import { collect, fakeEffects, fakeEngine, greedy, numberSink, requestOf } from '../testing/fake-engine.js';

/** What the fake model answers greedily, computed without any engine. */
function expectedText(prompt: readonly number[], count: number): string {
  const tokens = [...prompt];
  for (let index = 0; index < count; index++) tokens.push(fakeToken(tokens, 0, 0, fakeLimits.vocab));
  return tokens
    .slice(prompt.length)
    .map((token) => `${token} `)
    .join('');
}
const promptOf = (length: number, seed = 0) => Array.from({ length }, (_, index) => (index * 17 + seed) % 900);

test('Engine answers what the model says, for prompts shorter and longer than a step', async (t) => {
  const engine = fakeEngine();
  for (const length of [1, 63, 64, 65, 128, 129, 300]) {
    const { texts } = await collect(engine.generate(requestOf(promptOf(length), { maxTokens: 70 })));
    t.is(texts[0], expectedText(promptOf(length), 70), `prompt of ${length}`);
  }
  await engine.close();
});

test('Engine ends with usage and timing after the last choice', async (t) => {
  const engine = fakeEngine();
  const prompt = promptOf(130);
  await collect(engine.generate(requestOf(prompt)));
  const { events } = await collect(engine.generate(requestOf(prompt)));
  const end = events.at(-1)!;
  t.is(end.type, 'generation-end');
  if (end.type !== 'generation-end') return;
  t.deepEqual(end.usage, { promptTokens: 130, completionTokens: 8, cachedTokens: 128, reasoningTokens: 0 });
  t.is(end.timing.prefillTokens, 2);
  t.is(events.filter((event) => event.type === 'choice-end').length, 1);
  await engine.close();
});

test('Engine ends a choice at a stop token, which is not shown', async (t) => {
  const engine = fakeEngine({ device: fakeDevice(fakeLimits, { token: (tokens) => tokens.length }) });
  const { texts, events } = await collect(
    engine.generate(requestOf([5, 6], { maxTokens: 50, stopTokens: new Set([4]) })),
  );
  t.is(texts[0], '2 3 ');
  t.like(
    events.find((event) => event.type === 'choice-end'),
    { reason: 'stop' },
  );
  await engine.close();
});

test('Engine ends a choice at a stop string', async (t) => {
  const engine = fakeEngine({ device: fakeDevice(fakeLimits, { token: (tokens) => tokens.length }) });
  const { texts } = await collect(engine.generate(requestOf([5, 6], { maxTokens: 50, openSink: () => numberSink(5) })));
  t.is(texts[0], '2 3 4 ');
  await engine.close();
});

test('Engine never generates beyond the context', async (t) => {
  const engine = fakeEngine();
  const { events } = await collect(engine.generate(requestOf(promptOf(250), { maxTokens: 10_000 })));
  const end = events.at(-1)!;
  t.is(end.type === 'generation-end' ? end.usage.completionTokens : -1, fakeLimits.maxContext - 250);
  await engine.close();
});

test('Engine shares the prompt of several choices, also without a prefix cache, and seeds them apart', async (t) => {
  for (const reuse of ['shared', 'group'] as const) {
    let rows = 0;
    const onStep = (step: { rows: number }) => {
      rows += step.rows;
    };
    const effects = fakeEffects({ onStep });
    const engine = fakeEngine({ reuse, effects });
    const sampling = { ...greedy, temperature: 1 };
    const { texts } = await collect(
      engine.generate(requestOf(promptOf(200), { choices: 3, sampling, seed: 11n, maxTokens: 4 })),
    );
    t.is(new Set(texts).size, 3);
    // 200 rows once, then 8 rows past the last shared page for each of the two others, and 3 decode rows each.
    t.is(rows, 200 + 2 * 8 + 3 * 3);
    await engine.close();
  }
});

test('Engine reports log-probabilities of every shown token, with alternatives', async (t) => {
  const engine = fakeEngine();
  const { events } = await collect(engine.generate(requestOf([1, 2, 3], { sampling: { ...greedy, topLogprobs: 2 } })));
  const logprobs = events.flatMap((event) =>
    event.type === 'text-delta' || event.type === 'choice-end' ? event.logprobs : [],
  );
  t.is(logprobs.length, 8);
  t.true(logprobs.every((each) => each.top.length === 2 && each.top[0]!.token === each.token));
  await engine.close();
});

test('Engine frees slot and pages of a request whose reader leaves, and serves the next', async (t) => {
  const engine = fakeEngine({ device: fakeDevice({ ...fakeLimits, maxSequences: 1 }) });
  for await (const event of engine.generate(requestOf(promptOf(100), { maxTokens: 400 }))) {
    if (event.type === 'text-delta') break;
  }
  const { texts } = await collect(engine.generate(requestOf(promptOf(3))));
  t.is(texts[0], expectedText(promptOf(3), 8));
  await engine.idle();
  t.is(engine.load.pages.used, 0);
  await engine.close();
});

test('Engine frees an aborted request while it waits and while it runs', async (t) => {
  const engine = fakeEngine({ device: fakeDevice({ ...fakeLimits, maxSequences: 1 }) });
  const running = new AbortController();
  const waiting = new AbortController();
  const first = collect(engine.generate(requestOf(promptOf(10), { maxTokens: 400, signal: running.signal })));
  const second = collect(engine.generate(requestOf(promptOf(11), { signal: waiting.signal })));
  waiting.abort();
  await t.throwsAsync(second, { code: 'request_cancelled' });
  running.abort();
  await t.throwsAsync(first, { code: 'request_cancelled' });
  await engine.idle();
  t.like(engine.load, { running: 0, waiting: 0 });
  t.is(engine.load.pages.used, 0);
  await engine.close();
});

test('Engine pauses a sequence whose reader is behind and loses nothing', async (t) => {
  const device = fakeDevice();
  const engine = fakeEngine({ device, maxBufferedEvents: 4 });
  const slow = engine.generate(requestOf(promptOf(9), { maxTokens: 60 }));
  const other = await collect(engine.generate(requestOf(promptOf(8), { maxTokens: 100 })));
  t.is(other.texts[0], expectedText(promptOf(8), 100));
  for (let index = 0; index < 50; index++) await turn();
  const before = device.steps;
  for (let index = 0; index < 50; index++) await turn();
  t.is(device.steps, before, 'the paused sequence takes no steps');
  t.is((await collect(slow)).texts[0], expectedText(promptOf(9), 60));
  await engine.close();
});

test('Engine refuses more pending requests than it has seats and places in its queue', async (t) => {
  const device = fakeDevice({ ...fakeLimits, maxSequences: 1 });
  const engine = fakeEngine({ device, admission: { maxWaiting: 1, anonMaxPending: 9 } });
  const kept = [collect(engine.generate(requestOf([1]))), collect(engine.generate(requestOf([2])))];
  t.throws(() => engine.generate(requestOf([3])), { code: 'engine_queue_full' });
  await Promise.all(kept);
  await engine.close();
});

test('Engine rejects what it runs when the device fails, and everything after it', async (t) => {
  const failures: string[] = [];
  const device = fakeDevice(fakeLimits, {
    onStep: (step) => {
      if (step === 3) throw new Error('the device fell off the bus');
    },
  });
  const engine = fakeEngine({ device, effects: fakeEffects({ onFailed: (error) => failures.push(error.code) }) });
  await t.throwsAsync(collect(engine.generate(requestOf([1, 2], { maxTokens: 50 }))), { code: 'device_failed' });
  t.throws(() => engine.generate(requestOf([1])), { code: 'device_failed' });
  t.deepEqual(failures, ['device_failed']);
  t.is(engine.load.pages.used, 0);
  await engine.close();
});

test('Engine gives up a device whose step does not end, and can still be closed', async (t) => {
  const clock = new FakeClock();
  const device = fakeDevice(fakeLimits, { onStep: () => new Promise<void>(() => {}) });
  const effects = fakeEffects({ after: (delayMs, run) => clock.after(delayMs, run) });
  const engine = fakeEngine({ device, effects, stepTimeoutMs: 5000 });
  const answer = collect(engine.generate(requestOf([1])));
  const failed = t.throwsAsync(answer, { code: 'device_stalled' });
  await settle();
  await clock.advance(5000);
  await failed;
  t.is(engine.state.kind, 'failed');
  t.is(engine.load.pages.used, 0);
  await engine.close();
});

test('Engine fails only the request whose logits are unhealthy', async (t) => {
  const engine = fakeEngine({ device: fakeDevice(fakeLimits, { token: (tokens) => (tokens[0] === 13 ? -1 : 7) }) });
  const bad = collect(engine.generate(requestOf([13])));
  const good = collect(engine.generate(requestOf([12], { maxTokens: 3 })));
  await t.throwsAsync(bad, { code: 'logits_unhealthy' });
  t.is((await good).texts[0], '7 7 7 ');
  await engine.close();
});

test('Engine fails only the request whose text stage throws', async (t) => {
  const engine = fakeEngine();
  const openSink = () => ({
    ...numberSink(),
    push: (): never => {
      throw new Error('bad text');
    },
  });
  const bad = collect(engine.generate(requestOf([1], { openSink })));
  const good = collect(engine.generate(requestOf([2])));
  await t.throwsAsync(bad, { message: 'bad text' });
  t.is((await good).texts[0], expectedText([2], 8));
  await engine.close();
});

test('Engine ends every stream with shutting_down when it is closed', async (t) => {
  const engine = fakeEngine({ device: fakeDevice({ ...fakeLimits, maxSequences: 1 }) });
  const outcomes = Promise.allSettled(
    [1, 2, 3].map((seed) => collect(engine.generate(requestOf([seed], { maxTokens: 400 })))),
  );
  await turn();
  await engine.close();
  for (const outcome of await outcomes) t.is(outcome.status === 'rejected' && outcome.reason.code, 'shutting_down');
  t.throws(() => engine.generate(requestOf([1])), { code: 'shutting_down' });
});

test('Engine gives a request the same tokens whatever runs beside it, is cancelled, or was cached', async (t) => {
  const one = fc.record({
    family: fc.nat(2),
    length: fc.integer({ min: 1, max: 200 }),
    maxTokens: fc.integer({ min: 1, max: 80 }),
    seed: fc.nat(3),
    sampled: fc.boolean(),
    delay: fc.nat(6),
    cancelAfter: fc.option(fc.nat(20)),
    choices: fc.integer({ min: 1, max: 2 }),
  });
  const shape = fc.record({
    maxRows: fc.constantFrom(3, 64, 100, 256),
    maxSequences: fc.integer({ min: 1, max: 5 }),
    reuse: fc.constantFrom('shared' as const, 'group' as const, 'none' as const),
  });
  const alone = new Map<string, string[]>();
  const requestFor = (each: {
    family: number;
    length: number;
    maxTokens: number;
    seed: number;
    sampled: boolean;
    choices: number;
  }) =>
    requestOf(promptOf(each.length, each.family), {
      maxTokens: each.maxTokens,
      seed: BigInt(each.seed),
      choices: each.choices,
      sampling: { ...greedy, temperature: each.sampled ? 1 : 0 },
    });
  await fc.assert(
    fc.asyncProperty(
      fc.array(one, { minLength: 1, maxLength: 8 }),
      shape,
      async (requests, { maxRows, maxSequences, reuse }) => {
        const limits = { ...fakeLimits, maxRows, maxSequences, maxSampled: maxSequences, pages: 12 };
        const engine = fakeEngine({ device: fakeDevice(limits), reuse, maxBufferedEvents: 5 });
        const runs = requests.map(async (each) => {
          for (let index = 0; index < each.delay; index++) await turn();
          const texts: string[] = [];
          let seen = 0;
          for await (const event of engine.generate(requestFor(each))) {
            if (event.type === 'text-delta') texts[event.choice] = (texts[event.choice] ?? '') + event.text;
            if (each.cancelAfter !== null && seen++ === each.cancelAfter) return null;
          }
          return texts;
        });
        const results = await Promise.all(runs);
        await engine.idle();
        const { running, waiting, pages } = engine.load;
        await engine.close();
        if (running + waiting + pages.used + pages.reserved !== 0) return false;
        for (const [index, each] of requests.entries()) {
          if (results[index] === null) continue;
          const key = JSON.stringify({ ...each, delay: 0, cancelAfter: null });
          if (!alone.has(key)) {
            const single = fakeEngine();
            alone.set(key, (await collect(single.generate(requestFor(each)))).texts);
            await single.close();
          }
          if (JSON.stringify(results[index]) !== JSON.stringify(alone.get(key))) return false;
        }
        return true;
      },
    ),
    { numRuns: 300 },
  );
  t.pass();
});
