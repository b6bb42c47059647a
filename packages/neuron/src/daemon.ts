import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  type Clock,
  CortexError,
  formatAddress,
  type LoadJobView,
  type NeuronConfig,
  parseAddress,
  systemClock,
} from '@helexa/core';
import { type Architecture, type ArchitectureRegistry, type Backend, createArchitectureRegistry } from '@helexa/graph';
import { type Logger, pino } from 'pino';
import type { LoadWish } from './http/control.js';
import { DevicePoll } from './http/device-poll.js';
import { readDoor } from './http/door.js';
import { NeuronMetrics } from './http/metrics.js';
import { neuronRoutes } from './http/routes.js';
import { openHttpServer } from './http/server.js';
import { BackendPool } from './model/backend-pool.js';
import { DefaultModels } from './model/default-models.js';
import { DiskListing } from './model/disk-listing.js';
import type { LoadJob } from './model/load-job.js';
import { scanModels } from './model/model-scan.js';
import type { ModelSpec, ModelState } from './model/model-state.js';
import { ModelTable } from './model/model-table.js';
import { openModel } from './model/open-model.js';
import { requestedLimits } from './model/requested-limits.js';
import { resolveModel } from './model/resolve-model.js';
import { freeMs, within } from './model/within.js';
import { prepareModel } from './preflight/prepare-model.js';
import { HubServer } from './sources/hub-server.js';
import { ModelSources } from './sources/model-sources.js';
import { canonicalModelId } from './sources/source-id.js';

export interface NeuronOptions {
  readonly config: NeuronConfig;
  readonly architectures: readonly Architecture[];
  /** Disposed when the neuron closes. */
  readonly backends: readonly Backend[];
  /** Makes a backend of this name anew when its device is lost; absent: its models are loaded again on it as it is. */
  readonly reopen?: (name: string) => Backend;
  /** Silent when absent. */
  readonly logger?: Logger;
  readonly clock?: Clock;
}

/** A neuron that answers. Owner: whoever started it. */
export interface RunningNeuron {
  readonly url: string;
  /** Loads a model of the configuration or of a models folder; settles when it is ready. */
  loadModel(id: string): Promise<void>;
  /** What it does now, from memory: no device is asked. */
  readonly summary: NeuronSummary;
  /** Refuses new work, lets generations under way end for a while, ends the rest with an error, frees everything. */
  close(): Promise<void>;
}

/** The models of a neuron by where they are in their life. */
export interface NeuronSummary {
  readonly serving: readonly string[];
  readonly loading: readonly LoadJobView[];
  readonly failed: readonly string[];
}

/** Time for the last bytes to reach clients once every generation has ended. */
const flushMs = 1000;

/**
 * Starts a neuron: it listens first, then loads the models of its configuration in the background. The backends are its own
 * from the call on, also when the start fails.
 *
 * @example const neuron = await startNeuron({ config, architectures: [qwen3], backends: [referenceBackend()] });
 */
export async function startNeuron(options: NeuronOptions): Promise<RunningNeuron> {
  try {
    return await start(options);
  } catch (error) {
    await disposeAll(options.backends);
    throw error;
  }
}

async function start(options: NeuronOptions): Promise<RunningNeuron> {
  const { config, clock = systemClock } = options;
  const log = options.logger ?? pino({ level: 'silent' });
  const door = await readDoor(config);
  const pool = new BackendPool({ backends: options.backends, reopen: options.reopen, clock, log });
  const registry = createArchitectureRegistry(options.architectures);
  const metrics = new NeuronMetrics(() => table.ready);
  const newId = (prefix: string) => `${prefix}${randomBytes(12).toString('hex')}`;
  const sources = await ModelSources.open({ hub: config.hub, clock, log, random: Math.random });
  const stopping = new AbortController();
  const table = new ModelTable({
    clock,
    log,
    newJobId: () => newId('load-'),
    process: newId(''),
    canonical: (id) => canonicalModelId(id, config.hub.default_source),
    rebuild: (name) => pool.rebuild(name),
    open: async (spec, hooks) => {
      const backend = await pool.choose(spec.device);
      hooks.onBackend(backend.name);
      const { id } = spec;
      const { path, quant } = await prepareModel({
        reference: spec.isRemote ? { kind: 'registry', id } : { kind: 'disk', id, path: spec.path },
        quant: spec.quant ?? null,
        plan: loadPlan(spec, registry, backend, config),
        sources,
        log,
        hooks,
      });
      return await openModel({
        spec: { ...spec, path },
        quant,
        registry,
        backend,
        config,
        clock,
        log,
        observer: metrics.observerOf(spec.id),
        newCallId: () => newId('call_'),
        ...hooks,
      });
    },
  });
  const defaults = new DefaultModels({ config, table, sources, clock, log, signal: stopping.signal });
  const startLoad = async (id: string, wanted: LoadWish = {}): Promise<LoadJob | null> => {
    const configured = await defaults.specOf(id);
    const base: ModelSpec = configured ?? {
      ...(await resolveModel(id, config.models_dir, sources)),
      tensorParallel: 1,
      device: config.device,
    };
    const { tensorParallel = base.tensorParallel, device = base.device, quant = base.quant ?? null } = wanted;
    // Devices that the configuration names are those of its own number of ranks.
    const { devices = tensorParallel === base.tensorParallel ? (base.devices ?? null) : null } = wanted;
    return await table.start({ ...base, tensorParallel, device, devices, quant }, wanted.epoch);
  };
  const onDisk = new DiskListing({
    clock,
    scan: async () => [...(await scanModels(config.models_dir)).map(({ id }) => id), ...(await sources.cachedIds())],
  });
  const devices = new DevicePoll(() => pool.all, clock, log);
  let url = '';
  const server = await openHttpServer({
    address: parseAddress(config.listen) ?? refuseListen(config.listen),
    door,
    routes: neuronRoutes(
      { modelOf: (id) => table.serve(id), metrics, clock, bodyLimitBytes: config.body_limit_bytes, newId },
      {
        table,
        onDisk: () => onDisk.ids(table.epoch),
        version: readVersion(),
        clock,
        startedMs: clock.now(),
        url: () => url,
        devices: () => devices.known,
        activation: () => defaults.activation,
        startLoad,
      },
      metrics,
      config.hub.serve ? new HubServer(sources) : null,
    ),
    metrics,
    clock,
    log,
    newId,
  });
  url = `${door.tls ? 'https' : 'http'}://${formatAddress({ ...server.address, host: reachableHost(server.address.host) })}`;
  log.info({ url }, 'neuron listens');
  await devices.start();
  const prewarm = defaults.loadAll();
  let closing: Promise<void> | null = null;
  const close = async () => {
    log.info('neuron is shutting down');
    stopping.abort(new CortexError('shutting_down', {}));
    await table.close(config.drain_ms);
    await within(clock, freeMs, prewarm);
    await sources.close();
    devices.stop();
    await server.close(flushMs);
    await pool.dispose();
    log.info('neuron has ended');
  };
  return {
    url,
    get summary() {
      return summarise(table);
    },
    loadModel: async (id) => {
      await (await startLoad(id))?.outcome();
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function summarise(table: ModelTable): NeuronSummary {
  const idsOf = (...kinds: ModelState['kind'][]) =>
    table.rows.flatMap(({ spec, state }) => (kinds.includes(state.kind) ? [spec.id] : []));
  return {
    serving: idsOf('ready'),
    failed: idsOf('failed', 'stuck'),
    loading: table.rows.flatMap(({ state }) =>
      state.kind === 'loading' || state.kind === 'recovering' ? [state.job.view()] : [],
    ),
  };
}

const loadPlan = (spec: ModelSpec, registry: ArchitectureRegistry, backend: Backend, config: NeuronConfig) => ({
  registry,
  backend,
  ranks: spec.tensorParallel,
  devices: spec.devices,
  kvFormat: config.engine.kv_format,
  limits: requestedLimits(config),
  threads: config.threads,
});

const refuseListen = (address: string): never => {
  throw new CortexError('listen_failed', { address, setting: 'listen', reason: `'host:port' is wanted` });
};

/** A wildcard address is listened on, but cannot be called. */
const reachableHost = (host: string): string => (host === '0.0.0.0' || host === '::' ? 'localhost' : host);

function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  return manifest.version;
}

async function disposeAll(backends: readonly Backend[]): Promise<void> {
  await Promise.all(backends.map((backend) => backend.dispose()));
}
