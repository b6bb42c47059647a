import type { CortexError } from '@helexa/core';
import { settle } from '@helexa/core/testing';
import test from 'ava';
import fc from 'fast-check';
import { FakeWorld } from '../testing/fake-world.js';
import type { Lease } from './broker.js';

const entry = (id: string, vram_mb: number, more: object = {}) => ({ id, vram_mb, ...more });

/** A request whose end can be waited for. */
const ask = (world: FakeWorld, model: string) => {
  const state: { lease?: Lease; error?: CortexError } = {};
  world.broker.acquire({ model, signal: new AbortController().signal }).then(
    (lease) => Object.assign(state, { lease }),
    (error: CortexError) => Object.assign(state, { error }),
  );
  return state;
};

const planned = (world: FakeWorld, model: string) => {
  const { action, node, evicts, behind, expectedMs } = world.broker.plan(model);
  return { action, node, evicts, behind, expectedMs };
};

test('Broker.plan: a load, who attaches to it, who waits behind it, and where it ended', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100 },
    models: [entry('m', 80), entry('n', 80), entry('big', 500)],
    sizes: { m: 80, n: 80 },
  });
  const rest = { node: 'a', evicts: [], behind: [] };
  t.deepEqual(planned(world, 'm'), { ...rest, action: 'load', expectedMs: 30_000 });
  ask(world, 'm').lease?.release();
  await world.clock.advance(4000);
  t.deepEqual(planned(world, 'm'), { ...rest, action: 'attach', expectedMs: 26_000 });
  // Its own load comes after the one under way.
  t.deepEqual(planned(world, 'n'), { ...rest, action: 'wait', behind: ['m'], expectedMs: 26_000 + 30_000 });
  await world.clock.advance(6000);
  t.deepEqual(planned(world, 'm'), { ...rest, action: 'serve', expectedMs: 0 });
  t.deepEqual(world.broker.plan('m').readyOn, ['a']);
  // 20 s of residency, then the 10 s that a load of this size was seen to take here.
  t.deepEqual(planned(world, 'n'), { ...rest, action: 'wait', evicts: ['m'], expectedMs: 20_000 + 10_000 });
  const never = world.broker.plan('big');
  t.deepEqual([never.action, never.expectedMs, never.error?.code], ['refuse', null, 'model_unplaceable']);
});

test('Broker.plan knows that a node is slower than another', async (t) => {
  const world = new FakeWorld({
    nodes: { a: 100, b: 90 },
    models: [entry('m', 80), entry('n', 80), entry('pinned', 40, { pinned_on: ['b'] })],
    sizes: { m: 80, n: 80, pinned: 40 },
    loadMs: (node) => (node === 'a' ? 10_000 : 60_000),
    settings: { residencyMs: 0 },
  });
  for (const model of ['m', 'n']) {
    const request = ask(world, model);
    await world.clock.advance(60_000);
    request.lease?.release();
  }
  t.deepEqual(world.log, ['load a m', 'load b n']);
  t.is(planned(world, 'pinned').expectedMs, 30_000);
});

/** What a random history may do before the plan. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('ask' as const), model: fc.constantFrom('m', 'n', 'o', 'p') }),
  fc.record({ kind: fc.constant('end' as const), which: fc.nat(9) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(40_000) }),
  fc.record({ kind: fc.constant('kill' as const), node: fc.constantFrom('a', 'b') }),
);

test('Broker.plan: after any history the request does what was planned, and planning changes nothing', async (t) => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.constantFrom('m', 'n', 'o', 'p'), async (steps, model) => {
      const world = new FakeWorld({
        nodes: { a: 100, b: 80 },
        models: [entry('m', 60), entry('n', 60), entry('o', 95), entry('p', 60, { residency_priority: 5 })],
        sizes: { m: 60, n: 60, o: 95, p: 60 },
      });
      const requests: ReturnType<typeof ask>[] = [];
      for (const each of steps) {
        if (each.kind === 'ask') requests.push(ask(world, each.model));
        else if (each.kind === 'end') requests[each.which % Math.max(1, requests.length)]?.lease?.release();
        else if (each.kind === 'wait') await world.clock.advance(each.ms);
        else world.kill(each.node);
        await settle(1);
      }
      const [before, jobs] = [world.log.length, world.broker.jobs.length];
      const plan = world.broker.plan(model);
      await settle(1);
      if (world.log.length !== before || world.broker.jobs.length !== jobs) return false;
      const request = ask(world, model);
      await settle(1);
      const done = world.log.slice(before);
      seen.add(plan.action);
      switch (plan.action) {
        case 'serve':
          return request.lease?.node.name === plan.node && plan.expectedMs === 0;
        case 'load': {
          const job = world.broker.jobs.find((each) => each.model === model);
          const first = plan.evicts.length > 0 ? `unload ${plan.node} ${plan.evicts[0]}` : `load ${plan.node} ${model}`;
          return job?.node === plan.node && done[0] === first && job?.victims.join() === plan.evicts.join();
        }
        case 'refuse':
          return request.error?.code === plan.error?.code && plan.expectedMs === null;
        default:
          // Whoever waits causes nothing yet, and is told how long.
          return done.length === 0 && !request.lease && !request.error && plan.expectedMs !== null;
      }
    }),
    { numRuns: 150, seed: 71 },
  );
  t.deepEqual([...seen].sort(), ['attach', 'load', 'refuse', 'serve', 'wait']);
});
