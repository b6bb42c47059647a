import { CortexError } from '@helexa/core';
import { settle } from '@helexa/core/testing';
import test from 'ava';
import fc from 'fast-check';
import { FakeWorld } from '../testing/fake-world.js';
import type { Lease } from './broker.js';

/** One request that records how it ended. */
const ask = (world: FakeWorld, model: string, exclude?: ReadonlySet<string>) => {
  const abort = new AbortController();
  const state: { lease?: Lease; error?: CortexError; at?: number; abort: AbortController } = { abort };
  world.broker.acquire({ model, signal: abort.signal, ...(exclude ? { exclude } : {}) }).then(
    (lease) => Object.assign(state, { lease, at: world.clock.now() }),
    (error: CortexError) => Object.assign(state, { error, at: world.clock.now() }),
  );
  return state;
};

const entry = (id: string, vram_mb: number, more: object = {}) => ({ id, vram_mb, ...more });

test('Broker attaches every caller to one load', async (t) => {
  const world = new FakeWorld({ nodes: { a: 100 }, models: [entry('m', 50)], sizes: { m: 50 } });
  const callers = [1, 2, 3, 4].map(() => ask(world, 'm'));
  await settle();
  t.is(world.broker.progressOf('m')?.why, 'loading');
  await world.clock.advance(10_000);
  t.deepEqual(world.log, ['load a m']);
  t.true(callers.every(({ lease }) => lease?.node.name === 'a'));
  t.is(world.broker.leased, 4);
  for (const { lease } of callers) lease?.release();
  t.is(world.broker.leased, 0);
});

test('Broker displaces nothing while some node has room', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100, b: 60 },
    models: [entry('m', 50), entry('n', 50)],
    sizes: { m: 50, n: 80 },
  });
  world.put('a', 'n');
  ask(world, 'm');
  await settle();
  t.deepEqual(world.log, ['load b m']);
});

test('Broker evicts the model that was used longest ago, and of lower priority before any other', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 120 },
    models: [
      entry('old', 40, { residency_priority: 100 }),
      entry('new', 40),
      entry('low', 40, { residency_priority: 5 }),
      entry('m', 40),
    ],
    sizes: { old: 40, new: 40, low: 40, m: 40 },
  });
  world.put('a', 'old', 'new', 'low');
  for (const id of ['low', 'old', 'new']) {
    const used = ask(world, id);
    await settle();
    used.lease?.release();
    await world.clock.advance(1000);
  }
  ask(world, 'm');
  await world.clock.advance(50_000);
  t.deepEqual(world.log, ['unload a low', 'load a m']);
  const back = ask(world, 'low');
  await settle();
  // Nothing of its own priority or below is there.
  t.is(back.error?.code, 'no_room_for_model');
  t.is(world.broker.leased, 1);
});

test('Broker evicts idle models only, one by one until there is room', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 120 },
    models: [entry('m', 80)],
    sizes: { x: 40, y: 40, z: 40, m: 80 },
    settings: { residencyMs: 0 },
  });
  world.put('a', 'x', 'y', 'z');
  // The one that is in use is also the one that was used longest ago.
  const busy = ask(world, 'x');
  await settle();
  for (const id of ['y', 'z']) {
    await world.clock.advance(1000);
    const used = ask(world, id);
    await settle();
    used.lease?.release();
  }
  const waiting = ask(world, 'm');
  await world.clock.advance(11_000);
  t.deepEqual(world.log, ['unload a y', 'unload a z', 'load a m']);
  t.is(waiting.lease?.node.name, 'a');
  t.is(busy.lease?.node.name, 'a');
});

for (const [strategy, first] of [
  ['priority', 'low'],
  ['lru', 'old'],
] as const) {
  test(`Broker: by '${strategy}' the ${first} one leaves first, and none of higher priority ever`, async (t) => {
    const world = new FakeWorld({
      nodes: { a: 120 },
      models: [
        entry('high', 30, { residency_priority: 200 }),
        entry('old', 40),
        entry('low', 40, { residency_priority: 5 }),
        entry('m', 40),
      ],
      sizes: { high: 30, old: 40, low: 40, m: 40 },
      settings: { strategy },
    });
    world.put('a', 'high', 'old', 'low');
    for (const id of ['high', 'old', 'low']) {
      const used = ask(world, id);
      await world.clock.advance(1000);
      used.lease?.release();
    }
    ask(world, 'm');
    await settle();
    t.deepEqual(world.log, [`unload a ${first}`]);
  });
}

test('Broker unloads what nobody has asked for in its time, never what is busy, pinned, foreign or said to stay', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 1000 },
    models: [
      entry('m', 10),
      entry('busy', 10),
      entry('short', 10, { idle_ttl_ms: 60_000 }),
      entry('stays', 10, { idle_ttl_ms: 0 }),
      entry('pinned', 10, { pinned_on: ['a'] }),
      entry('leaves', 10, { pinned_on: ['a'], idle_ttl_ms: 300_000 }),
    ],
    settings: { idleTtlMs: 200_000 },
  });
  world.put('a', 'm', 'busy', 'short', 'stays', 'pinned', 'leaves', 'foreign');
  const busy = ask(world, 'busy');
  await world.clock.advance(59_000);
  t.deepEqual(world.log, []);
  const again = ask(world, 'm');
  await settle();
  again.lease?.release();
  await world.clock.advance(1000);
  t.deepEqual(world.log, ['unload a short']);
  // It was used at 59 s: its time starts anew.
  await world.clock.advance(198_000);
  t.is(world.log.length, 1);
  await world.clock.advance(2000);
  t.deepEqual(world.log.slice(1), ['unload a m']);
  await world.clock.advance(2_000_000);
  t.deepEqual(world.log.slice(2), ['unload a leaves']);
  busy.lease?.release();
  await world.clock.advance(201_000);
  t.deepEqual(world.log.slice(3), ['unload a busy']);
  t.deepEqual([world.clock.pending, world.broker.jobs.length], [0, 0]);
});

test('Broker loads a model anew that is asked for while it leaves for being idle', async (t) => {
  const world = new FakeWorld({ nodes: { a: 100 }, models: [entry('m', 10)], settings: { idleTtlMs: 5000 } });
  world.put('a', 'm');
  await world.clock.advance(5000);
  const request = ask(world, 'm');
  await settle();
  t.is(world.broker.progressOf('m')?.why, 'node_loading');
  await world.clock.advance(11_000);
  t.deepEqual(world.log, ['unload a m', 'load a m']);
  t.is(request.lease?.node.name, 'a');
});

test('Broker leaves a model alone for its whole time again when it could not be unloaded', async (t) => {
  const error = new CortexError('model_load_failed', { model: 'm', reason: 'in use' });
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 10)],
    settings: { idleTtlMs: 5000 },
    onUnload: () => ({ ok: false, error, isInUse: true }),
  });
  world.put('a', 'm');
  await world.clock.advance(9000);
  t.deepEqual(world.log, ['unload a m']);
  t.deepEqual(
    world.events.map(({ kind }) => kind),
    ['unload_failed'],
  );
  await world.clock.advance(2000);
  t.is(world.log.length, 2);
});

test('Broker advises to restart a neuron after so many evictions there, and counts anew', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 80), entry('n', 80)],
    sizes: { m: 80, n: 80 },
    settings: { defragAfterCycles: 3, residencyMs: 0 },
  });
  const swap = async (times: number) => {
    for (let turn = 0; turn < times; turn++) {
      const request = ask(world, world.nodes['a']!.models[0]?.id === 'm' ? 'n' : 'm');
      await world.clock.advance(20_000);
      request.lease?.release();
    }
    return world.events.filter(({ kind }) => kind === 'defrag_advised').length;
  };
  // The first load evicts nothing.
  t.is(await swap(3), 0);
  t.is(await swap(1), 1);
  t.like(
    world.events.find(({ kind }) => kind === 'defrag_advised'),
    { node: 'a', cycles: 3 },
  );
  t.is(await swap(2), 1);
  // A neuron that was started anew has whole memory.
  world.broker.looked('a', true);
  t.is(await swap(2), 1);
  t.is(await swap(1), 2);
});

for (const [priority, outcome] of [
  [1000, 'no_room_for_model'],
  [100, undefined],
] as const) {
  test(`Broker ${outcome ? 'never displaces a model of higher' : 'displaces a model of equal'} priority`, async (t) => {
    const world = new FakeWorld({
      nodes: { a: 100 },
      models: [entry('m', 80), entry('n', 80, { residency_priority: priority })],
      sizes: { m: 80, n: 80 },
    });
    world.put('a', 'n');
    const request = ask(world, 'm');
    await world.clock.advance(20_000);
    t.is(request.error?.code, outcome);
    t.is(world.log.includes('unload a n'), outcome === undefined);
  });
}

test('Broker S1: two callers that alternate swap at the pace of the residency, and both are served', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 80), entry('n', 80)],
    sizes: { m: 80, n: 80 },
  });
  const served: Record<string, number> = { m: 0, n: 0 };
  let longestMs = 0;
  /** Asks again as soon as the last answer ended, which takes a second. */
  const caller = async (model: string): Promise<void> => {
    while (world.clock.now() < 3_600_000) {
      const since = world.clock.now();
      const lease = await world.broker.acquire({ model, signal: new AbortController().signal });
      longestMs = Math.max(longestMs, world.clock.now() - since);
      await new Promise<void>((resolve) => world.clock.after(1000, resolve));
      served[model]! += 1;
      lease.release();
    }
  };
  void caller('m');
  void caller('n');
  await world.clock.advance(3_600_000);
  const swaps = world.log.filter((line) => line.startsWith('load')).length;
  // A turn is one load of 10 s and at least 20 s of service: without residency there would be a swap for every request.
  t.true(swaps <= 3600 / 30, `${swaps} swaps`);
  t.true(served['m']! + served['n']! > 2 * swaps, JSON.stringify({ served, swaps }));
  // Patience, the rest of a request, the eviction and the load bound every wait.
  t.true(longestMs <= 30_000 + 1000 + 100 + 10_000 + 20_000, `${longestMs} ms`);
});

test('Broker F14 and S6: models wanted at once on a full card come one after the other', async (t) => {
  const ids = ['m', 'n', 'o'];
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: ids.map((id) => entry(id, 80)),
    sizes: { m: 80, n: 80, o: 80 },
  });
  const requests = ids.map((id) => ask(world, id));
  for (let step = 0; step < 12; step++) {
    await world.clock.advance(10_000);
    for (const { lease } of requests) lease?.release();
  }
  t.true(requests.every(({ lease }) => lease !== undefined));
  t.deepEqual(world.log, ['load a m', 'unload a m', 'load a n', 'unload a n', 'load a o']);
});

test('Broker F7: a load that runs out of memory once evicts and is tried again', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100 },
    // Declared far too small, so that it seems to fit beside the other.
    models: [entry('m', 10)],
    sizes: { m: 80, n: 60 },
  });
  world.put('a', 'n');
  const request = ask(world, 'm');
  await world.clock.advance(30_000);
  t.deepEqual(world.log, ['load a m', 'unload a n', 'load a m']);
  t.is(request.lease?.node.name, 'a');
});

test('Broker F7: a load that always runs out of memory ends with a typed error, and is not tried again at once', async (t) => {
  const error = new CortexError('model_load_failed', { model: 'm', reason: 'out of memory' });
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 10)],
    onLoad: () => ({ ok: false, error, requiredMb: 20 }),
  });
  const request = ask(world, 'm');
  await world.clock.advance(30_000);
  t.is(request.error?.code, 'model_load_failed');
  t.deepEqual(world.log, ['load a m', 'load a m']);
  const later = ask(world, 'm');
  await settle();
  // The setback of five seconds is over: one more try, and then a longer one.
  t.is(world.log.length, 3);
  await world.clock.advance(10_000);
  t.deepEqual((later.error!.details as { retryAfterSeconds: number }).retryAfterSeconds, 10);
});

test('Broker F7: what the neuron refuses for good is said as such', async (t) => {
  const error = new CortexError('model_load_refused', { model: 'm', reason: 'its architecture is unknown' });
  const world = new FakeWorld({ nodes: { a: 100 }, models: [entry('m', 10)], onLoad: () => ({ ok: false, error }) });
  const request = ask(world, 'm');
  await world.clock.advance(10_000);
  t.deepEqual([request.error?.code, request.error?.status], ['model_load_refused', 422]);
});

test('Broker F8: a load that never ends ends its callers with an honest time, and itself at its limit', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 10)],
    onLoad: () => 'hang',
    settings: { waitMs: 60_000, loadTimeoutMs: 600_000 },
  });
  const first = ask(world, 'm');
  await world.clock.advance(60_000);
  t.deepEqual([first.error?.code, first.at], ['model_wait_expired', 60_000]);
  t.true((first.error!.details as { retryAfterSeconds: number }).retryAfterSeconds >= 1);
  t.deepEqual(world.broker.jobs.length, 1);
  await world.clock.advance(540_000);
  t.deepEqual(world.broker.jobs.length, 0);
  t.is(world.broker.waiting, 0);
});

test('Broker F8: a load of ten minutes serves the caller who may wait so long', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 10)],
    loadMs: 600_000,
    settings: { waitMs: 700_000 },
  });
  const request = ask(world, 'm');
  await world.clock.advance(600_000);
  t.is(request.lease?.node.name, 'a');
  t.is(world.broker.jobs.length, 0);
});

test('Broker F9: an unload that hangs ends at its limit and loads nothing on top', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 80)],
    sizes: { n: 80 },
    onUnload: () => 'hang',
  });
  world.put('a', 'n');
  const request = ask(world, 'm');
  await world.clock.advance(60_000);
  t.is(request.error?.code, 'model_load_failed');
  t.regex(request.error?.message ?? '', /'n' was not unloaded within 60000 ms/);
  t.deepEqual(world.log, ['unload a n']);
});

// Mutation: the flood's requests count as a reason to keep their model for ever.
test('S2: a flood of requests for a model of low priority neither keeps one of higher priority out, nor drives it out', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('low', 80, { residency_priority: 5 }), entry('high', 80)],
    sizes: { low: 80, high: 80 },
  });
  world.put('a', 'low');
  let refused = 0;
  /** Asks again as soon as its answer, which takes a second, has ended. */
  const flood = async (): Promise<void> => {
    while (world.clock.now() < 200_000) {
      try {
        const lease = await world.broker.acquire({ model: 'low', signal: new AbortController().signal });
        await new Promise<void>((resolve) => world.clock.after(1000, resolve));
        lease.release();
      } catch {
        refused += 1;
        await new Promise<void>((resolve) => world.clock.after(5000, resolve));
      }
    }
  };
  for (let count = 0; count < 20; count++) void flood();
  await world.clock.advance(5000);
  const first = ask(world, 'high');
  await world.clock.advance(60_000);
  t.is(first.lease?.node.name, 'a');
  // Patience, the rest of an answer, the eviction and the load.
  t.true(first.at! - 5000 <= 30_000 + 1000 + 100 + 10_000, String(first.at));
  first.lease!.release();
  await world.clock.advance(100_000);
  t.true(refused > 100);
  t.deepEqual(world.log, ['unload a low', 'load a high']);
  const second = ask(world, 'high');
  await settle();
  t.is(second.lease?.node.name, 'a');
});

// Mutation: what a neuron says that a model needs is forgotten.
test('S7: a model that needs twice what is declared costs one failed load, and then its size is known', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 40), entry('n', 50)],
    sizes: { m: 80, n: 50 },
    settings: { residencyMs: 0 },
  });
  world.put('a', 'n');
  for (const model of ['m', 'n', 'm']) {
    const request = ask(world, model);
    await world.clock.advance(40_000);
    t.is(request.lease?.node.name, 'a', model);
    request.lease?.release();
  }
  t.deepEqual(world.log, ['load a m', 'unload a n', 'load a m', 'unload a m', 'load a n', 'unload a n', 'load a m']);
});

// Mutation: what is declared goes before what was seen.
test('S7: a model that needs half of what is declared displaces another one once, and then both stay', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 80), entry('n', 50)],
    sizes: { m: 40, n: 50 },
    settings: { residencyMs: 0 },
  });
  world.put('a', 'n');
  for (const model of ['m', 'n', 'm', 'n']) {
    const request = ask(world, model);
    await world.clock.advance(40_000);
    t.is(request.lease?.node.name, 'a', model);
    request.lease?.release();
  }
  t.deepEqual(world.log, ['unload a n', 'load a m', 'load a n']);
});

test('Broker waits for a model that others use, and takes its place when a look says that it is idle', async (t) => {
  const error = new CortexError('model_load_failed', { model: 'n', reason: 'in use' });
  let isInUse = true;
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 80)],
    sizes: { m: 80, n: 80 },
    onUnload: () => (isInUse ? { ok: false, error, isInUse } : undefined),
  });
  world.put('a', 'n');
  const health = { uptime_secs: 1, devices: [{ index: 0, vram_free_mb: 20 }], models: [{ id: 'n', in_flight: 1 }] };
  world.healthOf = () => (isInUse ? health : undefined);
  const request = ask(world, 'm');
  await world.clock.advance(20_000);
  t.is(request.error, undefined);
  t.deepEqual(world.log, ['unload a n']);
  isInUse = false;
  world.look('a');
  await world.clock.advance(11_000);
  t.deepEqual(world.log, ['unload a n', 'unload a n', 'load a m']);
  t.is(request.lease?.node.name, 'a');
});

test('Broker F1: a neuron that dies while it loads is replaced by another', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100, b: 90 },
    models: [entry('m', 10)],
    onLoad: (node) => (node === 'a' ? 'hang' : undefined),
  });
  const request = ask(world, 'm');
  await settle();
  world.kill('a');
  await world.clock.advance(10_000);
  t.deepEqual(world.log, ['load a m', 'load b m']);
  t.is(request.lease?.node.name, 'b');
});

test('Broker F1: with its only neuron dead a request is told to come again', async (t) => {
  const world = new FakeWorld({ nodes: { a: 100, b: 5 }, models: [entry('m', 10)], onLoad: () => 'hang' });
  const request = ask(world, 'm');
  await settle();
  world.kill('a');
  await settle();
  t.is(request.error?.code, 'placement_unavailable');
});

test('Broker F11: a neuron that lies about its room costs one failed load', async (t) => {
  const world = new FakeWorld({ nodes: { a: 100, b: 100 }, models: [entry('m', 80)], sizes: { m: 80, n: 60 } });
  world.put('a', 'n');
  world.fleet = world.fleet.map((node) =>
    node.name === 'a'
      ? { ...node, models: [], health: { uptime_secs: 1, devices: [{ index: 0, vram_free_mb: 1000 }] } }
      : node,
  );
  const request = ask(world, 'm');
  await world.clock.advance(40_000);
  t.is(request.lease?.node.name, 'b');
  t.is(world.log.filter((line) => line === 'load a m').length, 1);
});

test('Broker C1: a client that leaves while it waits leaves nothing behind, and its load goes on', async (t) => {
  const world = new FakeWorld({ nodes: { a: 100 }, models: [entry('m', 10)] });
  const request = ask(world, 'm');
  await settle();
  request.abort.abort(new Error('left'));
  await settle();
  t.is(world.broker.waiting, 0);
  await world.clock.advance(10_000);
  t.is(world.broker.leased, 0);
  t.is(ask(world, 'm').abort.signal.aborted, false);
  await settle();
  t.is(world.broker.leased, 1);
});

test('Broker waits for a load that somebody else began', async (t) => {
  const world = new FakeWorld({ nodes: { a: 100, b: 100 }, models: [entry('m', 10)] });
  world.nodes['a']!.models = [{ id: 'm', status: 'loading' }];
  world.look('a');
  const request = ask(world, 'm');
  await settle();
  t.deepEqual(world.log, []);
  world.nodes['a']!.models = [{ id: 'm', status: 'loaded' }];
  world.look('a');
  await settle();
  t.is(request.lease?.node.name, 'a');
});

test('Broker promises a waiting caller the time that the neuron says, where that is longer', async (t) => {
  const world = new FakeWorld({ nodes: { a: 100 }, models: [entry('m', 10)], settings: { waitMs: 1000 } });
  const progress = { phase: 'downloading', bytes: 1, total_bytes: 9, eta_seconds: 1200 };
  world.nodes['a']!.models = [{ id: 'm', status: 'loading', progress }];
  world.look('a');
  const request = ask(world, 'm');
  await world.clock.advance(1000);
  t.is(request.error?.code, 'model_wait_expired');
  t.is((request.error!.details as { retryAfterSeconds: number }).retryAfterSeconds, 1200);
});

test('Broker close ends everyone who waits', async (t) => {
  const world = new FakeWorld({ nodes: { a: 100 }, models: [entry('m', 10)] });
  const request = ask(world, 'm');
  await settle();
  world.broker.close();
  await settle();
  t.is(request.error?.code, 'shutting_down');
  t.is(ask(world, 'm').error, undefined);
  await settle();
  t.is(world.broker.waiting, 0);
});

test('Broker: a request that has failed somewhere does not wait for a load', (t) => {
  const world = new FakeWorld({ nodes: { a: 100, b: 100 }, models: [entry('m', 10)] });
  world.put('a', 'm');
  t.false(world.broker.hasOther('m', new Set(['a'])));
  world.put('b', 'm');
  t.true(world.broker.hasOther('m', new Set(['a'])));
});

/** What a random history may do. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('ask' as const), model: fc.constantFrom('m', 'n', 'o') }),
  fc.record({ kind: fc.constant('end' as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant('leave' as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(40_000) }),
  fc.record({ kind: fc.constant('kill' as const), node: fc.constantFrom('a', 'b') }),
  fc.record({ kind: fc.constant('revive' as const), node: fc.constantFrom('a', 'b') }),
);

test('Broker: after any history every request has one outcome, no busy model was evicted, and no card is overfull', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const evictedBusy: string[] = [];
      const held = new Map<string, number>();
      const world: FakeWorld = new FakeWorld({
        nodes: { a: 100, b: 100 },
        models: [entry('m', 60), entry('n', 60), entry('o', 60)],
        sizes: { m: 60, n: 60, o: 60 },
        onUnload: (node, model) => {
          if ((held.get(`${node} ${model}`) ?? 0) > 0) evictedBusy.push(`${node} ${model}`);
          return undefined;
        },
      });
      let outcomes = 0;
      const requests: { abort: AbortController; end?: () => void }[] = [];
      const begin = (model: string): void => {
        const request: { abort: AbortController; end?: () => void } = { abort: new AbortController() };
        requests.push(request);
        world.broker.acquire({ model, signal: request.abort.signal }).then(
          (lease) => {
            outcomes += 1;
            const key = `${lease.node.name} ${model}`;
            held.set(key, (held.get(key) ?? 0) + 1);
            request.end = () => {
              held.set(key, (held.get(key) ?? 1) - 1);
              lease.release();
              delete request.end;
            };
          },
          () => {
            outcomes += 1;
          },
        );
      };
      for (const each of steps) {
        if (each.kind === 'ask') begin(each.model);
        else if (each.kind === 'end') requests[each.which % Math.max(1, requests.length)]?.end?.();
        else if (each.kind === 'leave') requests[each.which % Math.max(1, requests.length)]?.abort.abort();
        else if (each.kind === 'wait') await world.clock.advance(each.ms);
        else if (each.kind === 'kill') world.kill(each.node);
        else {
          world.nodes[each.node]!.isUp = true;
          world.look(each.node);
        }
        await settle(1);
        for (const node of ['a', 'b']) if (world.usedMb(node) > 100) return false;
      }
      for (let round = 0; round < 12; round++) {
        for (const request of requests) request.end?.();
        await world.clock.advance(60_000);
      }
      for (const request of requests) request.end?.();
      return (
        outcomes === requests.length &&
        world.broker.waiting === 0 &&
        world.broker.leased === 0 &&
        evictedBusy.length === 0
      );
    }),
    { numRuns: 60, seed: 62 },
  );
  t.pass();
});
