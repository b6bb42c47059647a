import test from 'ava';
import type { MemoryClient } from './testing/memory-client.js';
import { expectedStream, expectedText } from './testing/memory-fleet.js';
import { createMemoryWorld, memoryConfig, startMemoryGateway } from './testing/memory-gateway.js';

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

const nothing = { waiting: 0, leased: 0, attempts: 0, open: 0 };
const askFor = (tokens: number, more: object = {}) => ({
  ...ask,
  messages: [{ role: 'user', content: `count ${tokens}` }],
  ...more,
});
const isWhole = ({ outcome: { body } }: MemoryClient, tokens = 6, model = 'm'): boolean =>
  shown(body) === expectedStream(model, tokens, idOf(body));
const codeOf = ({ outcome: { body } }: MemoryClient): string =>
  (JSON.parse(body) as { error: { code: string } }).error.code;

// Mutation: events are handed on whatever is in them.
for (const kind of ['broken', 'torn'] as const) {
  test(`F5: a stream with a ${kind} event goes on at another neuron, and nobody sees the event`, async (t) => {
    const memory = await startMemoryGateway(['m']);
    memory.neurons.get('a')!.mishaps.push({ kind, after: 3 });
    const client = memory.ask(path, ask);
    await memory.clock.advance(10_000);
    t.true(isWhole(client), client.outcome.body);
    t.is(memory.neurons.get('b')!.resumed, 1);
  });
}

// Mutation: whatever has status 200 is an answer.
for (const [what, mishap] of [
  ['an error', { kind: 'false' }],
  ['half of an object', { kind: 'broken', after: 0 }],
] as const) {
  test(`F5: ${what} under status 200 is no answer: another neuron is asked, and the client is told when there is none`, async (t) => {
    const memory = await startMemoryGateway(['m']);
    const { clock, neurons } = memory;
    neurons.get('a')!.mishaps.push(mishap);
    const client = memory.ask(path, askFor(3, { stream: false }));
    await clock.advance(5000);
    t.is(JSON.parse(client.outcome.body).choices[0].message.content, expectedText('m', 3));
    for (const neuron of neurons.values()) neuron.mishaps.push(mishap);
    const second = memory.ask(path, askFor(3, { stream: false }));
    await clock.advance(5000);
    t.deepEqual([second.outcome.status, codeOf(second)], [502, 'upstream_failed']);
  });
}

const capped = (hard_cap: number) => ({
  keys: [{ key: 'sk-capped-01', account_id: 'small', hard_cap, window: { kind: 'rolling', seconds: 30 } }],
});
const asCapped = { authorization: 'Bearer sk-capped-01' };

// Mutation: a window that begins after the present time is kept.
for (const [what, byMs] of [
  ['forward', 86_400_000],
  ['back', -86_400_000],
] as const) {
  test(`F12: a clock that is set a day ${what} cuts no stream and locks no budget for longer than its window`, async (t) => {
    const memory = await startMemoryGateway(['m'], { config: memoryConfig({ entitlements: capped(100) }) });
    const { clock } = memory;
    const first = memory.ask(path, askFor(6, { max_tokens: 40 }), asCapped);
    await clock.advance(500);
    clock.correct(byMs);
    await clock.advance(5000);
    t.true(isWhole(first), first.outcome.body);
    const second = memory.ask(path, askFor(6, { max_tokens: 60 }), asCapped);
    await clock.advance(5000);
    t.deepEqual([second.outcome.status, codeOf(second)], [429, 'rate_limit_exceeded']);
    await clock.advance(31_000);
    const third = memory.ask(path, askFor(6, { max_tokens: 60 }), asCapped);
    await clock.advance(5000);
    t.true(isWhole(third), third.outcome.body);
  });
}

// Mutation: no limit to a connection that is not made.
test('N2: on a network that loses every other message, and takes two seconds for one, every request ends right or says that it is not', async (t) => {
  const memory = await startMemoryGateway(['m'], {
    config: memoryConfig({ gateway: { poll_timeout_ms: 10_000, stream_silence_ms: 20_000 } }),
  });
  const { clock, network, gateway } = memory;
  for (const name of ['a', 'b']) network.lossy.set(name, 2000);
  const clients: MemoryClient[] = [];
  for (let count = 0; count < 8; count++) {
    clients.push(memory.ask(path, ask));
    await clock.advance(3000);
  }
  await clock.advance(60_000);
  const served = clients.filter(({ outcome }) => outcome.status === 200);
  t.true(served.length > 0 && served.every((client) => isWhole(client)));
  for (const client of clients) if (!served.includes(client)) t.regex(codeOf(client), /^upstream_|^model_|^no_healthy/);
  t.deepEqual(gateway.counts(), nothing);
});

// Mutation: a node that could not be found is never looked at again.
test('N3: while no name is found requests are refused without an address, and served as soon as names are back', async (t) => {
  const memory = await startMemoryGateway(['m']);
  const { clock, network, gateway } = memory;
  for (const name of ['a', 'b']) network.failing.set(name, 'ENOTFOUND');
  const early = memory.ask(path, ask);
  await clock.advance(100);
  t.deepEqual([early.outcome.status, codeOf(early)], [502, 'upstream_unreachable']);
  await clock.advance(10_000);
  const late = memory.ask(path, ask);
  await clock.advance(100);
  t.deepEqual([late.outcome.status, codeOf(late)], [503, 'service_unavailable']);
  t.notRegex(early.outcome.body + late.outcome.body, /http|ENOTFOUND/);
  network.heal();
  await clock.advance(3000);
  const after = memory.ask(path, ask);
  await clock.advance(5000);
  t.true(isWhole(after));
  t.deepEqual(gateway.counts(), nothing);
});

// Mutation: one look that is late makes a neuron count as down.
test('G4: a gateway that stood still for two seconds, again and again, takes nobody for dead', async (t) => {
  const memory = await startMemoryGateway(['m']);
  const { clock, neurons } = memory;
  const clients = [memory.ask(path, askFor(40)), memory.ask(path, { ...askFor(3), model: 'o' })];
  for (let round = 0; round < 5; round++) {
    await clock.advance(700);
    await clock.stall(2000);
  }
  await clock.advance(20_000);
  t.true(isWhole(clients[0]!, 40) && isWhole(clients[1]!, 3, 'o'));
  t.deepEqual(
    [...neurons.values()].map(({ resumed }) => resumed),
    [0, 0],
  );
});

// Mutation: a look that this machine had no file for counts as the neuron's failure.
test('G5: a gateway without a file for one more connection blames no neuron: open streams go on, and it serves again at once', async (t) => {
  const memory = await startMemoryGateway(['m']);
  const { clock, network, gateway } = memory;
  const open = memory.ask(path, askFor(100));
  await clock.advance(1000);
  for (const name of ['a', 'b']) network.failing.set(name, 'EMFILE');
  await clock.advance(12_000);
  const refused = memory.ask(path, ask);
  await clock.advance(1000);
  t.deepEqual([refused.outcome.status, codeOf(refused)], [502, 'upstream_failed']);
  t.regex(refused.outcome.body, /the gateway has no file left/);
  network.heal();
  const served = memory.ask(path, ask);
  await clock.advance(20_000);
  t.true(isWhole(served), served.outcome.body);
  t.true(isWhole(open, 100), open.outcome.body.slice(-500));
  t.deepEqual(gateway.counts(), nothing);
});

// Mutation: close ends what is open at once.
test('G6: a gateway that is replaced lets its streams end, while its successor takes what is new', async (t) => {
  const world = createMemoryWorld(['m']);
  const { clock, neurons } = world;
  const old = await startMemoryGateway([], { world });
  const streams = [old.ask(path, ask), old.ask(path, askFor(12))];
  await clock.advance(300);
  const next = await startMemoryGateway([], { world });
  let isClosed = false;
  void old.gateway.close().then(() => {
    isClosed = true;
  });
  const late = old.ask(path, ask);
  const fresh = next.ask(path, ask);
  await clock.advance(4000);
  t.deepEqual([late.outcome.status, codeOf(late)], [503, 'shutting_down']);
  t.true(isWhole(streams[0]!) && isWhole(streams[1]!, 12) && isWhole(fresh));
  await clock.advance(2000);
  t.true(isClosed);
  t.true([...neurons.values()].every((neuron) => neuron.models.has('m') && neuron.resumed === 0));
});

// Mutation: a neuron's refusal to unload a model that others use ends the request that wanted its place.
test('G7: two gateways that know nothing of each other serve more models than there is room for, and break nothing', async (t) => {
  const world = createMemoryWorld();
  const { clock, neurons } = world;
  for (const neuron of neurons.values()) neuron.isShared = true;
  const gateways = [await startMemoryGateway([], { world }), await startMemoryGateway([], { world })];
  const clients: { readonly client: MemoryClient; readonly model: string }[] = [];
  for (let round = 0; round < 12; round++) {
    const model = ['m', 'n', 'o'][round % 3]!;
    for (const gateway of gateways) clients.push({ client: gateway.ask(path, { ...ask, model }), model });
    await clock.advance(1500);
    for (const { usedMb } of neurons.values()) t.true(usedMb <= 100);
  }
  await clock.advance(60_000);
  const wrong = clients.filter(({ client, model }) => !isWhole(client, 6, model));
  t.deepEqual(
    wrong.map(({ client }) => client.outcome),
    [],
  );
  for (const { gateway, network } of gateways) {
    t.deepEqual(gateway.counts(), nothing);
    t.deepEqual(network.overcommits, []);
  }
});

// Mutation: a key is asked for again while its answer runs; what a budget lacks is not charged.
test('G8: a key that is revoked, or whose budget is used up, in the middle of a stream loses what comes next and not the stream', async (t) => {
  const entitlements = { ...capped(90), require_auth: true };
  const memory = await startMemoryGateway(['m'], { config: memoryConfig({ entitlements }) });
  const { clock, state } = memory;
  // It says that it wants little, and gets more.
  const spending = memory.ask(path, askFor(60, { max_tokens: 1 }), asCapped);
  await clock.advance(15_000);
  t.true(isWhole(spending, 60));
  const over = memory.ask(path, askFor(6, { max_tokens: 1 }), asCapped);
  await clock.advance(100);
  t.deepEqual([over.outcome.status, codeOf(over)], [429, 'rate_limit_exceeded']);
  await clock.advance(30_000);
  const revoked = memory.ask(path, askFor(6, { max_tokens: 1 }), asCapped);
  await clock.advance(300);
  state.config = memoryConfig({ entitlements: { require_auth: true, keys: [] } });
  await memory.reloadSame();
  const after = memory.ask(path, askFor(6, { max_tokens: 1 }), asCapped);
  await clock.advance(5000);
  t.true(isWhole(revoked));
  t.deepEqual([after.outcome.status, codeOf(after)], [401, 'invalid_api_key']);
});

// Mutation: a page of metrics marks the models that it reads as used.
test('G9: metrics that are read without a pause delay no stream, and keep no model in its place', async (t) => {
  const memory = await startMemoryGateway(['n']);
  const { clock, neurons } = memory;
  neurons.get('b')!.state = 'down';
  const client = memory.ask(path, ask);
  const pages: MemoryClient[] = [];
  for (let round = 0; round < 20; round++) {
    for (let count = 0; count < 5; count++) pages.push(memory.scrape());
    await clock.advance(400);
  }
  t.true(pages.every(({ outcome }) => outcome.status === 200 && outcome.body.includes('cortex_node_healthy')));
  t.true(isWhole(client), client.outcome.body);
  t.deepEqual([...neurons.get('a')!.models.keys()], ['m']);
});

// Mutation: a model that somebody waits for is never given up for another one.
test('S3: an agent and its child whose models cannot both be loaded take turns, and neither waits for ever', async (t) => {
  const memory = await startMemoryGateway(['m']);
  const { clock, neurons, gateway } = memory;
  neurons.get('b')!.state = 'down';
  await clock.advance(7000);
  for (const model of ['m', 'n', 'm', 'n', 'm']) {
    const turn = memory.ask(path, { ...ask, model });
    await clock.advance(15_000);
    t.true(isWhole(turn, 6, model), turn.outcome.body);
  }
  // The parent's answer does not end before that of the child: the child is told so, and the parent is not cut.
  const parent = memory.ask(path, askFor(300));
  await clock.advance(1000);
  const child = memory.ask(path, { ...ask, model: 'n', stream: false });
  await clock.advance(45_000);
  t.is(child.outcome.status, 503);
  t.regex(child.outcome.body, /the models in its place are still in use after 40000 ms/);
  await clock.advance(20_000);
  t.true(isWhole(parent, 300));
  t.deepEqual(gateway.counts(), nothing);
});

// Mutation: a load whose model is not there afterwards counts as done.
for (const isAlone of [true, false]) {
  test(`S5: a model that somebody unloads while it is loaded is loaded ${isAlone ? 'again for whoever comes back' : 'elsewhere'}`, async (t) => {
    const memory = await startMemoryGateway();
    const { clock, neurons, gateway } = memory;
    if (isAlone) neurons.get('b')!.state = 'down';
    await clock.advance(7000);
    const client = memory.ask(path, { ...ask, stream: false });
    await clock.advance(1000);
    neurons.get('a')!.unloadByOthers('m');
    await clock.advance(8000);
    if (isAlone) t.deepEqual([client.outcome.status, codeOf(client)], [503, 'model_load_failed']);
    else t.is(client.outcome.status, 200);
    const second = memory.ask(path, ask);
    await clock.advance(15_000);
    t.true(isWhole(second), second.outcome.body);
    t.deepEqual(gateway.counts(), nothing);
  });
}

// Mutation: what its neuron still has is awaited whether anybody is there or not.
test('C1: a client that leaves while its cut stream looks for another neuron is forgotten within 50 ms', async (t) => {
  const memory = await startMemoryGateway(['m']);
  const { clock, neurons, network, gateway } = memory;
  neurons.get('b')!.models.delete('m');
  await clock.advance(3000);
  neurons.get('a')!.mishaps.push({ kind: 'cut', after: 2 });
  const client = memory.ask(path, ask);
  await clock.advance(400);
  network.muted.add('a');
  await clock.advance(300);
  t.is(gateway.counts().open, 1);
  client.leave();
  await clock.advance(50);
  t.deepEqual(gateway.counts(), nothing);
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

test('F1: a stream whose neuron dies goes on at another one that has to load the model first, and says that it waits', async (t) => {
  const memory = await startMemoryGateway(['m'], { config: memoryConfig({ loading: { keep_alive_ms: 500 } }) });
  const { clock, neurons } = memory;
  neurons.get('b')!.models.delete('m');
  await clock.advance(3000);
  const clients = [
    memory.ask(path, ask),
    memory.ask('/v1/messages', { ...ask, max_tokens: 9 }),
    memory.ask(path, { ...ask, messages: [{ role: 'user', content: 'and leave' }] }),
  ];
  await clock.advance(400);
  neurons.get('a')!.crash();
  await clock.advance(1000);
  t.is(neurons.get('b')!.models.get('m'), 'loading');
  clients[2]!.leave();
  await clock.advance(20_000);
  const [chat, messages] = clients.map(({ outcome }) => outcome.body);
  t.is(shown(chat!), expectedStream('m', 6, idOf(chat!)));
  t.regex(chat!, /m\d é .*\n\n: waiting for the model, \d+ s; about \d+ s more\n\n.*m5 é .*DONE/s);
  t.regex(messages!, /m0 é .*event: ping.*m5 é .*message_stop/s);
  t.is(neurons.get('b')!.resumed, 2);
  t.deepEqual(memory.gateway.counts(), { waiting: 0, leased: 0, attempts: 0, open: 0 });
});

test('F1: a stream whose neuron dies ends with its error when the model cannot be loaded in time', async (t) => {
  const memory = await startMemoryGateway(['m']);
  const { clock, neurons } = memory;
  neurons.get('b')!.models.delete('m');
  await clock.advance(3000);
  const client = memory.ask(path, ask);
  await clock.advance(400);
  neurons.get('a')!.crash();
  neurons.get('b')!.state = 'frozen';
  await clock.advance(60_000);
  t.regex(client.outcome.body, /m0 é .*"code":"stream_interrupted"/s);
  t.notRegex(client.outcome.body, /DONE/);
  t.deepEqual(memory.gateway.counts(), { waiting: 0, leased: 0, attempts: 0, open: 0 });
});
