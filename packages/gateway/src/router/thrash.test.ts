import test from 'ava';
import fc from 'fast-check';
import { FakeWorld } from '../testing/fake-world.js';

const minuteMs = 60_000;
const loadMs = 10_000;
const unloadMs = 100;

/** Callers who go to and fro between models, each in an order of its own, for ever. */
const scenario = fc.record({
  residencyMs: fc.integer({ min: 5000, max: 60_000 }),
  patienceMs: fc.integer({ min: 1000, max: 60_000 }),
  /** Cards with room for one model each, fewer than models. */
  cards: fc.integer({ min: 1, max: 2 }),
  models: fc.integer({ min: 3, max: 4 }),
  callers: fc.array(
    fc.record({
      order: fc.array(fc.nat(3), { minLength: 1, maxLength: 4 }),
      answerMs: fc.integer({ min: 100, max: 8000 }),
      pauseMs: fc.integer({ min: 0, max: 4000 }),
    }),
    { minLength: 2, maxLength: 6 },
  ),
});

type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

/** Plays a scenario; what every card loaded, and how long each caller waited at most, also for what it still waits for. */
const play = async ({ residencyMs, patienceMs, cards, models, callers }: Scenario, forMs: number) => {
  const ids = Array.from({ length: models }, (_, index) => `m${index}`);
  const world = new FakeWorld({
    nodes: Object.fromEntries(Array.from({ length: cards }, (_, index) => [`n${index}`, 100])),
    models: ids.map((id) => ({ id, vram_mb: 80 })),
    sizes: Object.fromEntries(ids.map((id) => [id, 80])),
    loadMs,
    // Nobody is saved by giving up.
    settings: { residencyMs, patienceMs, waitMs: 10 * forMs },
  });
  const sleep = (ms: number) => new Promise<void>((resolve) => void world.clock.after(ms, resolve));
  const asks = callers.map(() => ({ sinceMs: undefined as number | undefined, longestMs: 0, served: 0 }));
  const run = async (index: number): Promise<void> => {
    const [{ order, answerMs, pauseMs }, ask] = [callers[index]!, asks[index]!];
    for (let turn = 0; world.clock.now() < forMs; turn++) {
      ask.sinceMs = world.clock.now();
      const model = ids[order[turn % order.length]! % models]!;
      const lease = await world.broker.acquire({ model, signal: new AbortController().signal });
      ask.longestMs = Math.max(ask.longestMs, world.clock.now() - ask.sinceMs);
      ask.sinceMs = undefined;
      ask.served += 1;
      await sleep(answerMs);
      lease.release();
      await sleep(pauseMs);
    }
  };
  const problems: unknown[] = [];
  callers.forEach((_, index) => void run(index).catch((error: unknown) => problems.push(error)));
  await world.clock.advance(forMs);
  if (problems.length > 0) throw problems[0];
  const waits = asks.map(({ sinceMs, longestMs }) =>
    Math.max(longestMs, sinceMs === undefined ? 0 : world.clock.now() - sinceMs),
  );
  const loads = Object.keys(world.nodes).map(
    (node) => world.log.filter((line) => line.startsWith(`load ${node} `)).length,
  );
  return { loads, waits, served: asks.map(({ served }) => served) };
};

test('Broker: callers who go to and fro never make a card load more than its residency allows, and nobody starves', async (t) => {
  const forMs = 20 * minuteMs;
  let mostLoads = 0;
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const { loads, waits, served } = await play(given, forMs);
      const { residencyMs, patienceMs, callers, models } = given;
      mostLoads = Math.max(mostLoads, ...loads);
      // A load, then the residency of what it brought, then an unload: no card turns faster.
      const mostTurns = Math.ceil(forMs / (loadMs + residencyMs + unloadMs)) + 1;
      // A turn ends when those before have had patience and their answers have ended; each model has one turn before another's second.
      const answerMs = Math.max(...callers.map((caller) => caller.answerMs));
      const longestTurnMs = Math.max(residencyMs, patienceMs) + answerMs + unloadMs + loadMs;
      const worst = Math.max(...waits);
      if (Math.max(...loads) > mostTurns) throw new Error(`${Math.max(...loads)} loads, ${mostTurns} allowed`);
      if (worst > models * longestTurnMs) throw new Error(`${worst} ms, ${models * longestTurnMs} allowed`);
      if (served.some((count) => count === 0)) throw new Error('somebody was never served');
    }),
    { numRuns: 12, seed: 31 },
  );
  // The scenarios did wear the cards out as far as they may.
  t.true(mostLoads > 20, String(mostLoads));
});

test('Broker: requests for one model that wait together are served by one load, whatever comes between them', async (t) => {
  const alternating = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ order: [index % 2], answerMs: 1000, pauseMs: 60 * minuteMs }));
  const given = { residencyMs: 15_000, patienceMs: 5000, cards: 1, models: 3, callers: alternating(12) };
  const { loads, served } = await play(given, 2 * minuteMs);
  // ABABABABABAB becomes AAAAAABBBBBB.
  t.deepEqual(loads, [2]);
  t.true(served.every((count) => count === 1));
});

test('Broker: callers who keep a model busy without a gap give way to one who has been patient', async (t) => {
  const busy = (answerMs: number) => ({ order: [0], answerMs, pauseMs: 0 });
  const patient = { order: [1], answerMs: 1000, pauseMs: 60 * minuteMs };
  const callers = [busy(3000), busy(2000), busy(2500), patient];
  const given = { residencyMs: 15_000, patienceMs: 20_000, cards: 1, models: 3, callers };
  const { loads, waits } = await play(given, 5 * minuteMs);
  // It comes a little after the first, so that it waits for that load and its residency too.
  t.true(waits[3]! <= loadMs + 20_000 + 3000 + unloadMs + loadMs, String(waits[3]));
  t.deepEqual(loads, [3]);
});
