import test from 'ava';
import { expectedStream } from './testing/memory-fleet.js';
import { startMemoryGateway } from './testing/memory-gateway.js';

const path = '/v1/chat/completions';
const ask = { model: 'm', stream: true, messages: [{ role: 'user', content: 'count 6' }] };
const shown = (body: string): string => body.replace(/^:[^\n]*\n\n/gm, '');
const idOf = (body: string): string => /"id":"([^"]*)"/.exec(body)?.[1] ?? '';

for (const state of ['loaded', 'streaming'] as const) {
  test(`F2: a neuron that is stopped while a request is ${state} there is given up, and another one answers`, async (t) => {
    const memory = await startMemoryGateway(['m']);
    const { clock, neurons } = memory;
    if (state === 'loaded') neurons.get('a')!.state = 'frozen';
    const client = memory.ask(path, ask);
    await clock.advance(500);
    neurons.get('a')!.state = 'frozen';
    await clock.advance(30_000);
    const { body } = client.outcome;
    t.is(shown(body), expectedStream('m', 6, idOf(body)));
    t.is(neurons.get('b')!.resumed, state === 'streaming' ? 1 : 0);
    void memory.gateway.close();
    await clock.advance(10_000);
  });
}

test('F4: a stream that falls silent after some tokens goes on at another neuron', async (t) => {
  const memory = await startMemoryGateway(['m']);
  memory.neurons.get('a')!.mishaps.push({ kind: 'silent', after: 3 });
  const client = memory.ask(path, ask);
  await memory.clock.advance(10_000);
  const { body } = client.outcome;
  t.is(shown(body), expectedStream('m', 6, idOf(body)));
  t.is(memory.neurons.get('b')!.resumed, 1);
});

test('F10: a neuron that restarts while requests wait for its load gets the load anew, and answers them', async (t) => {
  const memory = await startMemoryGateway();
  const { clock, neurons, network } = memory;
  network.partitioned.add('b');
  await clock.advance(9000);
  const client = memory.ask(path, ask);
  await clock.advance(1000);
  neurons.get('a')!.crash();
  neurons.get('a')!.revive();
  await clock.advance(15_000);
  const { body } = client.outcome;
  t.is(shown(body), expectedStream('m', 6, idOf(body)));
  t.deepEqual(memory.gateway.counts(), { waiting: 0, leased: 0, attempts: 0, open: 0 });
});

test('N1: a request that a partition swallows ends, and holds nothing', async (t) => {
  const memory = await startMemoryGateway(['m']);
  const { clock, network } = memory;
  for (const name of ['a', 'b']) network.partitioned.add(name);
  const client = memory.ask(path, { ...ask, stream: false });
  await clock.advance(60_000);
  t.true(client.outcome.status >= 500);
  t.deepEqual(memory.gateway.counts(), { waiting: 0, leased: 0, attempts: 0, open: 0 });
});

test('N4: a connection that is reset between the header and the body of a stream is replaced', async (t) => {
  const memory = await startMemoryGateway(['m']);
  memory.neurons.get('a')!.mishaps.push({ kind: 'cut', after: 0 });
  const client = memory.ask(path, ask);
  await memory.clock.advance(5000);
  const { body } = client.outcome;
  t.is(shown(body), expectedStream('m', 6, idOf(body)));
});

for (const [phase, waitMs, loaded] of [
  ['waiting for a load', 500, []],
  ['connecting', 0, ['m']],
  ['streaming', 500, ['m']],
] as const) {
  test(`C1: a client that leaves while ${phase} frees its place, and its neuron, within 50 ms`, async (t) => {
    const memory = await startMemoryGateway(loaded);
    const { clock, neurons, gateway } = memory;
    const client = memory.ask(path, ask);
    await clock.advance(waitMs);
    client.leave();
    await clock.advance(50);
    t.deepEqual(gateway.counts(), { waiting: 0, leased: 0, attempts: 0, open: 0 });
    t.deepEqual(
      [...neurons.values()].map(({ streams }) => streams.size),
      [0, 0],
    );
  });
}

test('C1 and C2: a client that does not read and then leaves frees its neuron within 50 ms', async (t) => {
  const memory = await startMemoryGateway(['m']);
  const { clock, neurons, gateway } = memory;
  const client = memory.ask(path, ask);
  client.stall();
  await clock.advance(700);
  client.leave();
  await clock.advance(50);
  t.deepEqual(gateway.counts(), { waiting: 0, leased: 0, attempts: 0, open: 0 });
  t.deepEqual(
    [...neurons.values()].map(({ streams }) => streams.size),
    [0, 0],
  );
});

test('POST /fleet/plan says what a request would cause, does none of it, and the request then does just that', async (t) => {
  const memory = await startMemoryGateway(['n']);
  const { clock, neurons } = memory;
  await clock.advance(3000);
  const plan = memory.ask('/fleet/plan', { model: 'm' });
  await clock.advance(100);
  const told = JSON.parse(plan.outcome.body) as { action: string; node: string; evicts: string[]; expected_ms: number };
  t.deepEqual([told.action, told.evicts, told.expected_ms], ['load', ['n'], 30_000]);
  t.true([...neurons.values()].every(({ models }) => models.has('n')));
  const client = memory.ask(path, ask);
  await clock.advance(10_000);
  t.is(client.outcome.status, 200);
  t.deepEqual([...neurons.get(told.node as 'a')!.models.keys()], ['m']);
  const again = memory.ask('/fleet/plan', { model: 'm' });
  await clock.advance(100);
  t.is(JSON.parse(again.outcome.body).action, 'serve');
});
