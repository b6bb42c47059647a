import { CortexError, type GatewayConfig, gatewayConfigSchema } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import { pino } from 'pino';
import type { Catalogue } from '../catalogue/catalogue.js';
import { type GatewayWorld, type RunningGateway, startGateway } from '../gateway.js';
import type { HttpServer } from '../http/http-server.js';
import type { Ledger } from '../ledger/ledger.js';
import { createLedger, type LedgerOptions } from '../ledger/open-ledger.js';
import { catalogueOf } from './fake-world.js';
import { MemoryClient } from './memory-client.js';
import { MemoryNetwork, MemoryNeuron } from './memory-fleet.js';

export const neuronNames = ['a', 'b'] as const;
const sizes = { m: 60, n: 60, o: 40 } as const;

/** What the catalogue says from one reload to the next. */
const catalogues = [
  catalogueOf([
    { id: 'm', vram_mb: 60 },
    { id: 'n', vram_mb: 60 },
    { id: 'o', vram_mb: 40 },
  ]),
  catalogueOf([
    { id: 'm', vram_mb: 60, pinned_on: ['a'] },
    { id: 'n', vram_mb: 60, residency_priority: 200 },
    { id: 'o', vram_mb: 40 },
  ]),
] as const;

/** Tables of the configuration, as they stand in its file. */
export interface MemoryTables {
  readonly gateway?: object;
  readonly loading?: object;
  readonly entitlements?: object;
}

/** The configuration of a gateway in memory, whose times are short. */
export const memoryConfig = ({ gateway, loading, entitlements = {} }: MemoryTables = {}): GatewayConfig =>
  gatewayConfigSchema.parse({
    gateway: {
      poll_interval_ms: 2000,
      poll_timeout_ms: 1000,
      stream_silence_ms: 5000,
      drain_timeout_ms: 4000,
      ...gateway,
    },
    loading: {
      wait_ms: 40_000,
      timeout_ms: 60_000,
      residency_ms: 2000,
      patience_ms: 3000,
      keep_alive_ms: 5000,
      ...loading,
    },
    entitlements,
    models_config: 'memory',
    neurons: neuronNames.map((name) => ({ name, endpoint: `http://${name}` })),
  });

/** Neurons and the time that they live in. */
export interface MemoryWorld {
  readonly clock: FakeClock;
  readonly neurons: ReadonlyMap<string, MemoryNeuron>;
}

/** Two neurons with a card of 100 MB each, for models of 60, 60 and 40 MB. */
export const createMemoryWorld = (loaded: readonly string[] = []): MemoryWorld => {
  const clock = new FakeClock(undefined, 1);
  const neurons = new Map(
    neuronNames.map((name) => [
      name,
      new MemoryNeuron({ name, totalMb: 100, sizes, clock, loadMs: 3000, stepMs: 200 }),
    ]),
  );
  for (const neuron of neurons.values()) for (const id of loaded) neuron.models.set(id, 'loaded');
  return { clock, neurons };
};

/** A ledger in memory that can be away, as one that several gateways share. */
class DistantLedger implements Ledger {
  readonly #ledger: Ledger;
  readonly #isAway: () => boolean;

  constructor(ledger: Ledger, isAway: () => boolean) {
    this.#ledger = ledger;
    this.#isAway = isAway;
  }

  get isReachable(): boolean {
    return !this.#isAway();
  }

  #refuse(): void {
    if (!this.#isAway()) return;
    throw new CortexError('rate_limit_exceeded', { reason: 'its budget cannot be asked', retryAfterSeconds: 5 });
  }

  open(): Promise<void> {
    return this.#ledger.open();
  }

  async admit(...asked: Parameters<Ledger['admit']>): Promise<void> {
    this.#refuse();
    await this.#ledger.admit(...asked);
  }

  async reserve(...asked: Parameters<Ledger['reserve']>): ReturnType<Ledger['reserve']> {
    this.#refuse();
    return await this.#ledger.reserve(...asked);
  }

  usage(...asked: Parameters<Ledger['usage']>): ReturnType<Ledger['usage']> {
    return this.#ledger.usage(...asked);
  }

  close(): Promise<void> {
    return this.#ledger.close();
  }
}

export interface MemoryGatewayOptions {
  /** Neurons that others use too; new ones when absent. */
  readonly world?: MemoryWorld;
  readonly config?: GatewayConfig;
}

/** A whole gateway before neurons in memory, in virtual time. */
export const startMemoryGateway = async (
  loaded: readonly string[] = [],
  { world = createMemoryWorld(loaded), config = memoryConfig() }: MemoryGatewayOptions = {},
) => {
  const { clock, neurons } = world;
  const network = new MemoryNetwork(neurons, clock);
  const handlers: Parameters<GatewayWorld['listen']>[0]['onRequest'][] = [];
  const clients = new Set<MemoryClient>();
  const cut = (): void => {
    for (const client of clients) if (!client.isOver) client.leave();
  };
  const server: HttpServer = { url: 'http://gateway', stop: async () => {}, cut };
  const state = { version: 0, config, isLedgerAway: false, isCatalogueBroken: false };
  let change: (catalogue: Catalogue) => void = () => {};
  const read = async (): Promise<unknown> => {
    if (state.isCatalogueBroken) return new CortexError('config_invalid', { where: 'memory', reason: 'it is broken' });
    change(catalogues[state.version % catalogues.length] as Catalogue);
    return undefined;
  };
  let gateway: RunningGateway | undefined;
  const starting = startGateway({
    config,
    readConfig: async () => state.config,
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
        return {
          start: async () => void (await read()),
          reload: read,
          close: async () => {},
        };
      },
      ledger: (kind: GatewayConfig['entitlements']['ledger'], options: LedgerOptions) =>
        new DistantLedger(createLedger(kind, options), () => state.isLedgerAway),
    },
    makeId: () => 'id',
  }).then((running) => {
    gateway = running;
  });
  // The first look at the neurons takes time, which passes here only.
  while (gateway === undefined) await clock.advance(1);
  await starting;
  const running: RunningGateway = gateway;
  const client = (
    handler: number,
    path: string,
    body: object | undefined,
    headers: Record<string, string>,
    isSlow = false,
  ): MemoryClient => {
    const shared = { path, headers, isSlow, ...(body ? { body } : {}) };
    const asking = new MemoryClient(handlers[handler] as (typeof handlers)[0], shared);
    clients.add(asking);
    return asking;
  };
  const reload = (): Promise<void> => running.reload();
  return {
    clock,
    neurons,
    network,
    gateway: running,
    /** What a reload finds, and whether the ledger answers. */
    state,
    /** A request with a body is a `POST`, one without a `GET`; the body of a slow one comes when it is told to. */
    ask: (path: string, body?: object, headers: Record<string, string> = {}, isSlow = false): MemoryClient =>
      client(0, path, body, headers, isSlow),
    scrape: (): MemoryClient => client(1, '/metrics', undefined, {}),
    /** Reads a catalogue that is another one than before. */
    reload: (): Promise<void> => {
      state.version += 1;
      return reload();
    },
    reloadSame: reload,
  };
};

export type MemoryGateway = Awaited<ReturnType<typeof startMemoryGateway>>;
