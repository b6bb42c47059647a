import { gatewayConfigSchema } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import { pino } from 'pino';
import type { Catalogue } from '../catalogue/catalogue.js';
import { type GatewayWorld, type RunningGateway, startGateway } from '../gateway.js';
import type { HttpServer } from '../http/http-server.js';
import { catalogueOf } from './fake-world.js';
import { MemoryClient } from './memory-client.js';
import { expectedStream, expectedText, MemoryNetwork, MemoryNeuron, type Mishap, tokensOf } from './memory-fleet.js';

/** Numbers that look random and are the same for the same seed. Source: mulberry32. */
export const randomOf = (seed: number): ((below: number) => number) => {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
};

const sizes = { m: 60, n: 60, o: 40 } as const;
const names = ['a', 'b'] as const;
const catalogues = [
  [
    { id: 'm', vram_mb: 60 },
    { id: 'n', vram_mb: 60 },
    { id: 'o', vram_mb: 40 },
  ],
  [
    { id: 'm', vram_mb: 60, pinned_on: ['a'] },
    { id: 'n', vram_mb: 60, residency_priority: 200 },
    { id: 'o', vram_mb: 40 },
  ],
] as const;

/** A whole gateway before neurons in memory, in virtual time. */
export const startMemoryGateway = async (loaded: readonly string[] = []) => {
  const clock = new FakeClock();
  const neurons = new Map(
    names.map((name) => [name, new MemoryNeuron({ name, totalMb: 100, sizes, clock, loadMs: 3000, stepMs: 200 })]),
  );
  for (const neuron of neurons.values()) for (const id of loaded) neuron.models.set(id, 'loaded');
  const network = new MemoryNetwork(neurons, clock);
  const handlers: Parameters<GatewayWorld['listen']>[0]['onRequest'][] = [];
  const server: HttpServer = { url: 'http://gateway', stop: async () => {}, cut: () => {} };
  let change: (catalogue: Catalogue) => void = () => {};
  let version = 0;
  const read = async (): Promise<void> => change(catalogueOf(catalogues[version % catalogues.length] ?? []));
  let gateway: RunningGateway | undefined;
  const starting = startGateway({
    config: gatewayConfigSchema.parse({
      gateway: { poll_interval_ms: 2000, poll_timeout_ms: 1000, stream_silence_ms: 5000, drain_timeout_ms: 4000 },
      loading: { wait_ms: 40_000, timeout_ms: 60_000, residency_ms: 2000, patience_ms: 3000, keep_alive_ms: 5000 },
      models_config: 'memory',
      neurons: names.map((name) => ({ name, endpoint: `http://${name}` })),
    }),
    logger: pino({ level: 'silent' }),
    clock,
    world: {
      links: () => network,
      listen: async ({ onRequest }) => {
        handlers.push(onRequest);
        return server;
      },
      catalogue: ({ onChange }) => {
        change = onChange;
        return { start: read, reload: read, close: async () => {} };
      },
    },
    makeId: () => 'id',
  }).then((running) => {
    gateway = running;
  });
  // The first look at the neurons takes time, which passes here only.
  while (gateway === undefined) await clock.advance(1);
  await starting;
  const running: RunningGateway = gateway;
  const ask = (path: string, body: object, headers: Record<string, string> = {}): MemoryClient =>
    new MemoryClient(handlers[0] as (typeof handlers)[0], { path, body, headers });
  const reload = (): Promise<void> => {
    version += 1;
    return running.reload();
  };
  return { clock, neurons, network, gateway: running, ask, reload };
};

type Memory = Awaited<ReturnType<typeof startMemoryGateway>>;

interface Asked {
  readonly client: MemoryClient;
  readonly model: string;
  readonly user: string;
  readonly stream: boolean;
  hasLeft: boolean;
}

/** What a schedule came to. */
export interface ScheduleReport {
  /** What must not have happened; empty when all was well. */
  readonly problems: readonly string[];
  readonly requests: number;
  readonly served: number;
  readonly resumed: number;
}

const mishapOf = (random: (below: number) => number): Mishap => {
  const after = random(5);
  const all: readonly Mishap[] = [
    { kind: 'status', status: 500 },
    { kind: 'status', status: 503 },
    { kind: 'status', status: 429 },
    { kind: 'status', status: 400 },
    { kind: 'reset' },
    { kind: 'hang' },
    { kind: 'cut', after },
    { kind: 'stop', after },
    { kind: 'torn', after },
    { kind: 'error', after },
    { kind: 'silent', after },
  ];
  return all[random(all.length)] as Mishap;
};

const withoutComments = (text: string): string => text.replace(/^:[^\n]*\n\n/gm, '');

/** What is wrong with the answer that a client got; undefined when it is right, or ends with an error that says that it is not. */
const wrongWith = ({ client, model, user, stream, hasLeft }: Asked): string | undefined => {
  const { status, body, isBroken, ends } = client.outcome;
  if (hasLeft) return undefined;
  if (ends > 1) return `it ended ${ends} times`;
  if (isBroken) return status === 200 ? undefined : 'its connection broke';
  if (status >= 400) return JSON.parse(body).error?.code ? undefined : `status ${status} without an error`;
  const count = tokensOf({ user });
  if (!stream) {
    const { content } = JSON.parse(body).choices[0].message;
    return content === expectedText(model, count) ? undefined : `wrong text '${content}'`;
  }
  const text = withoutComments(body);
  const id = /"id":"([^"]*)"/.exec(text)?.[1] ?? '';
  const expected = expectedStream(model, count, id);
  if (text === expected) return undefined;
  const error = text.indexOf('data: {"error"');
  if (error < 0) return `wrong bytes, and no error: ${text}`;
  if (text.includes('[DONE]')) return 'an error and an end mark';
  return expected.startsWith(text.slice(0, error)) ? undefined : `wrong bytes before the error: ${text}`;
};

/** One random act of the world. */
const act = async (memory: Memory, asked: Asked[], random: (below: number) => number): Promise<void> => {
  const { neurons, network, ask, reload } = memory;
  const name = names[random(names.length)] as (typeof names)[number];
  const neuron = neurons.get(name) as MemoryNeuron;
  const kind = random(20);
  if (kind < 9) {
    const model = ['m', 'n', 'o'][random(3)] as string;
    const user = String(random(1000));
    const stream = random(4) > 0;
    const body = { model, user, stream, messages: [{ role: 'user', content: 'x' }] };
    const client = ask('/v1/chat/completions', body, { 'x-session-id': String(random(3)) });
    asked.push({ client, model, user, stream, hasLeft: false });
  } else if (kind < 10) {
    const one = asked[random(Math.max(1, asked.length))];
    if (one && !one.client.isOver) {
      one.hasLeft = true;
      one.client.leave();
    }
  } else if (kind < 14) neuron.mishaps.push(mishapOf(random), mishapOf(random));
  else if (kind === 14) neuron.crash();
  else if (kind === 15) neuron.state = neuron.state === 'up' ? 'frozen' : neuron.state;
  else if (kind === 16) neuron.revive();
  else if (kind === 17) await reload();
  else if (kind === 18) {
    const one = asked[random(Math.max(1, asked.length))];
    if (one && random(2) === 0) one.client.stall();
    else one?.client.read();
  } else if (network.partitioned.has(name)) network.partitioned.delete(name);
  else network.partitioned.add(name);
};

/** Plays one random history against a whole gateway; the same seed plays the same one. */
export const runFaultSchedule = async (seed: number): Promise<ScheduleReport> => {
  const random = randomOf(seed);
  const memory = await startMemoryGateway([[], ['m'], ['m', 'o'], ['n']][random(4)]);
  const { clock, neurons, network, gateway } = memory;
  const asked: Asked[] = [];
  const problems: string[] = [];
  const steps = 5 + random(25);
  for (let step = 0; step < steps; step++) {
    await act(memory, asked, random);
    await clock.advance([0, 10, 200, 700, 3000][random(5)] as number);
    const { waiting, attempts, leased, open } = gateway.counts();
    const live = asked.filter(({ client, hasLeft }) => !client.isOver && !hasLeft).length;
    if (open !== live) problems.push(`${open} requests are open, ${live} live`);
    if (leased !== attempts) problems.push(`${leased} places for ${attempts} attempts`);
    if (waiting + attempts > live) problems.push(`${waiting} wait and ${attempts} run of ${live}`);
    if (waiting > 0 && clock.pending === 0) problems.push('somebody waits for nothing');
  }
  const isShutDown = random(4) === 0;
  // The world becomes sound again: nobody may hang after that.
  network.partitioned.clear();
  for (const neuron of neurons.values()) {
    neuron.revive();
    neuron.mishaps.length = 0;
  }
  for (const { client } of asked) client.read();
  let isClosed = !isShutDown;
  if (isShutDown) void gateway.close().then(() => (isClosed = true));
  for (let round = 0; round < 200; round++) {
    if (isClosed && asked.every(({ client, hasLeft }) => client.isOver || hasLeft)) break;
    await clock.advance(1000);
  }
  await clock.advance(1500);
  for (const [index, one] of asked.entries()) {
    const wrong = one.client.isOver || one.hasLeft ? wrongWith(one) : 'it hangs';
    if (wrong !== undefined) problems.push(`request ${index}: ${wrong}`);
  }
  const end = gateway.counts();
  if (end.waiting + end.leased + end.attempts + end.open > 0) problems.push(`left over: ${JSON.stringify(end)}`);
  for (const [name, { streams, evictedBusy }] of neurons) {
    if (streams.size > 0) problems.push(`neuron ${name} still answers ${streams.size} requests`);
    if (evictedBusy > 0) problems.push(`neuron ${name}: ${evictedBusy} busy models were to leave`);
  }
  if (!isShutDown) {
    let closed = false;
    void gateway.close().then(() => (closed = true));
    for (let round = 0; round < 20 && !closed; round++) await clock.advance(1000);
    if (!closed) problems.push('it does not close');
  }
  return {
    problems,
    requests: asked.length,
    served: asked.filter(({ client }) => client.outcome.status === 200).length,
    resumed: [...neurons.values()].reduce((sum, neuron) => sum + neuron.resumed, 0),
  };
};
