import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { resolve as resolvePath } from 'node:path';
import {
  type CatalogueEntry,
  type Clock,
  CortexError,
  type GatewayConfig,
  type ModelList,
  systemClock,
} from '@helexa/core';
import { type Logger, pino } from 'pino';
import type { Dispatcher } from 'undici';
import { type Catalogue, emptyCatalogue, resolveAlias } from './catalogue/catalogue.js';
import { CatalogueFile, type CatalogueFileOptions, type CatalogueSource } from './catalogue/catalogue-file.js';
import { describeHealth } from './fleet/describe-health.js';
import { applyLookTo, createFleet, type Fleet, hasRestarted, type Look, type NodeState } from './fleet/fleet.js';
import { listModels } from './fleet/list-models.js';
import { lookAtNeuron } from './fleet/look-at-neuron.js';
import { type NeuronLink, openLinks, readLinks } from './fleet/neuron-link.js';
import { type LookAt, Poller } from './fleet/poller.js';
import type { ClientResponse } from './http/client-response.js';
import { corsHeaders, preflightHeaders, refuseBlindPost } from './http/cors.js';
import { type HttpServer, type HttpServerOptions, startHttpServer } from './http/http-server.js';
import { randomId, requestIdOf } from './http/request-id.js';
import { sendError, sendJson } from './http/respond.js';
import { allowedMethods, findHandler, type Handler, type Routes, routeOf } from './http/router.js';
import { KeyRing, type Principal } from './keys/key-ring.js';
import { refuseOpenDoor } from './keys/open-door.js';
import type { Ledger } from './ledger/ledger.js';
import { createLedger } from './ledger/open-ledger.js';
import { createMetrics, type Metrics } from './metrics/metrics.js';
import { InFlight } from './proxy/in-flight.js';
import { Stop } from './proxy/stop.js';
import { AffinityTable } from './router/affinity.js';
import { Broker } from './router/broker.js';
import type { RouterEvent } from './router/effects.js';
import { neuronEffects } from './router/neuron-effects.js';
import { couldHold } from './router/placement.js';
import { describeKey } from './routes/describe-key.js';
import { inferenceHandler } from './routes/inference.js';
import { modelHandler, modelsHandler } from './routes/models.js';
import { planHandler } from './routes/plan.js';
import { countTokensHandler, inputTokensHandler, messagesHandler, responsesHandler } from './routes/translated.js';
import { dialectOf } from './translate/dialect.js';

/** What a gateway touches beside time: its way to the neurons, its listeners, its catalogue and its ledger. */
export interface GatewayWorld {
  readonly links: (links: readonly NeuronLink[]) => Dispatcher;
  readonly listen: (options: HttpServerOptions) => Promise<HttpServer>;
  readonly catalogue: (options: CatalogueFileOptions) => CatalogueSource;
  readonly ledger: typeof createLedger;
}

const systemWorld: GatewayWorld = {
  links: (links) => openLinks(links, { connectTimeoutMs }),
  listen: startHttpServer,
  catalogue: (options) => new CatalogueFile(options),
  ledger: createLedger,
};

export interface GatewayOptions {
  readonly config: GatewayConfig;
  /** Reads the configuration again at a reload, for its keys; they stay what they were when absent. */
  readonly readConfig?: () => Promise<GatewayConfig>;
  readonly logger?: Logger;
  /** The machine's own when absent. */
  readonly clock?: Clock;
  /** The machine's own when absent. */
  readonly world?: GatewayWorld;
  /** Longest wait for the first look at all neurons before the gateway opens its port; one second when absent. */
  readonly firstLookMs?: number;
  /** Makes request ids; random ones when absent. */
  readonly makeId?: () => string;
}

export interface RunningGateway {
  readonly url: string;
  readonly metricsUrl: string;
  /** Reads the model catalogue and the keys again; what cannot be used is logged, and stays what it was. */
  reload(): Promise<void>;
  /** What is held at this moment: requests that wait, places at models, attempts under way, and requests that are open. */
  counts(): { readonly waiting: number; readonly leased: number; readonly attempts: number; readonly open: number };
  /** Stops taking requests, lets open ones end for a while, then ends them with a typed error. */
  close(): Promise<void>;
}

const defaultFirstLookMs = 1000;
const connectTimeoutMs = 5000;
const catalogueIntervalMs = 2000;
const unloadTimeoutMs = 60_000;
/** Time for the last errors to reach their clients. */
const farewellMs = 1000;

const packageVersion = (): string =>
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

class Gateway {
  readonly #config: GatewayConfig;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #makeId: () => string;
  readonly #firstLookMs: number;
  readonly #world: GatewayWorld;
  readonly #agent: Dispatcher;
  readonly #inFlight = new InFlight();
  readonly #metrics: Metrics;
  readonly #poller: Poller;
  readonly #open = new Set<Stop>();
  readonly #routes: Routes;
  readonly #broker: Broker;
  #keys: KeyRing;
  readonly #readConfig: (() => Promise<GatewayConfig>) | undefined;
  readonly #ledger: Ledger;
  readonly #catalogueFile: CatalogueSource | undefined;
  #catalogue: Catalogue = emptyCatalogue;
  #fleet: Fleet;
  #isDraining = false;
  #onLastExchange: (() => void) | undefined;

  constructor(
    {
      config,
      readConfig,
      logger,
      clock,
      makeId,
      world = systemWorld,
      firstLookMs = defaultFirstLookMs,
    }: GatewayOptions,
    links: readonly NeuronLink[],
  ) {
    this.#config = config;
    this.#readConfig = readConfig;
    this.#world = world;
    this.#agent = world.links(links);
    this.#log = logger ?? pino({ name: 'gateway', level: config.log.level });
    this.#clock = clock ?? systemClock;
    this.#makeId = makeId ?? randomId;
    this.#firstLookMs = firstLookMs;
    this.#fleet = createFleet(config.neurons);
    this.#metrics = createMetrics({
      fleet: () => this.#fleet,
      inFlight: (node) => this.#inFlight.count(node),
      waiting: () => this.#broker.waiting,
      ledger: () => this.#ledger.isReachable,
    });
    this.#poller = new Poller({
      names: this.#fleet.map(({ name }) => name),
      stateOf: (name) => this.#node(name),
      lookAt: lookAtNeuron(this.#agent) satisfies LookAt,
      onLook: (name, look) => this.#onLook(name, look),
      clock: this.#clock,
      intervalMs: config.gateway.poll_interval_ms,
      timeoutMs: config.gateway.poll_timeout_ms,
    });
    const { loading, eviction, entitlements, models_config: catalogueFile } = config;
    this.#broker = new Broker({
      effects: {
        ...neuronEffects(this.#agent),
        look: (node) => this.#poller.lookFresh(node),
        now: () => this.#clock.now(),
        after: (delayMs, run) => this.#clock.after(delayMs, run),
        report: (event) => this.#onRouterEvent(event),
      },
      fleet: () => this.#fleet,
      catalogue: () => this.#catalogue,
      settings: {
        waitMs: loading.wait_ms,
        loadTimeoutMs: loading.timeout_ms,
        unloadTimeoutMs,
        residencyMs: loading.residency_ms,
        patienceMs: loading.patience_ms,
        strategy: eviction.strategy,
        idleTtlMs: eviction.idle_ttl_ms,
        defragAfterCycles: eviction.defrag_after_cycles,
      },
    });
    this.#keys = new KeyRing(entitlements);
    this.#ledger = world.ledger(entitlements.ledger, {
      clock: this.#clock,
      makeId: randomId,
      onError: (error) => this.#log.error({ err: error }, 'ledger not written; it is tried again'),
    });
    this.#catalogueFile = catalogueFile === undefined ? undefined : this.#watchCatalogue(resolvePath(catalogueFile));
    this.#routes = this.#makeRoutes();
  }

  #watchCatalogue(file: string): CatalogueSource {
    let isFirst = true;
    return this.#world.catalogue({
      file,
      clock: this.#clock,
      intervalMs: catalogueIntervalMs,
      onChange: (catalogue) => {
        this.#catalogue = catalogue;
        this.#log.info({ file, models: catalogue.entries.size, aliases: catalogue.aliases.size }, 'catalogue read');
        if (!isFirst) this.#metrics.reloads.inc({ outcome: 'ok' });
        isFirst = false;
        this.#broker.catalogueChanged();
      },
      onError: (error) => {
        this.#metrics.reloads.inc({ outcome: 'refused' });
        this.#log.error({ err: error }, 'catalogue not read; the one before stays');
      },
    });
  }

  #onRouterEvent(event: RouterEvent): void {
    const { kind, ...facts } = event;
    switch (event.kind) {
      case 'load_begun':
        this.#log.info(facts, 'model load begun');
        break;
      case 'load_ended': {
        const { node, model, ms, error } = event;
        this.#metrics.loads.inc({ node, model, outcome: error ? error.code : 'ok' });
        if (error?.code === 'epoch_stale') this.#log.info(facts, 'another gateway was faster; it is decided anew');
        else if (error) this.#log.error({ node, model, ms, err: error }, 'model load failed');
        else {
          this.#metrics.loadDuration.observe({ node, model }, ms / 1000);
          this.#log.info(facts, 'model loaded');
        }
        break;
      }
      case 'evicted':
        this.#metrics.evictions.inc({
          node: event.node,
          model: event.model,
          reason: event.by === undefined ? 'idle' : 'displaced',
        });
        this.#log.info(facts, 'model evicted');
        break;
      case 'unload_failed':
        this.#log.warn({ node: event.node, model: event.model, err: event.error }, 'idle model not unloaded');
        break;
      case 'defrag_advised':
        this.#log.warn(facts, 'many models came and went: a restart of this neuron would defragment its memory');
        break;
      case 'waited':
        this.#log.debug(facts, 'request waited for its model');
    }
  }

  #node(name: string): NodeState {
    return this.#fleet.find((node) => node.name === name) as NodeState;
  }

  #onLook(name: string, look: Look): void {
    const before = this.#node(name);
    this.#fleet = applyLookTo(this.#fleet, name, look);
    const now = this.#node(name);
    if (!look.ok) this.#metrics.pollFailures.inc({ node: name });
    if (before.healthy && !now.healthy) this.#inFlight.abandon(name);
    if (look.ok && look.health) {
      const live = look.health.models;
      const busy = (model: string): number | undefined => {
        const entry = live?.find(({ id }) => id === model);
        return live && (entry?.in_flight ?? 0) + (entry?.queue_depth ?? 0);
      };
      this.#inFlight.reconcile(name, busy, this.#clock.now());
    }
    if (before.healthy !== now.healthy || before.reason !== now.reason) {
      this.#log.info({ node: name, healthy: now.healthy, reason: now.reason }, 'neuron changed');
    }
    this.#broker.looked(name, look.ok && hasRestarted(before, look));
  }

  #makeRoutes(): Routes {
    const createdSeconds = Math.floor(this.#clock.unixMs() / 1000);
    const version = { package_version: packageVersion(), node_version: process.version };
    const json =
      (value: () => unknown): Handler =>
      ({ response }) =>
        sendJson(response, 200, value());
    const options = {
      fleet: () => this.#fleet,
      catalogue: () => this.#catalogue,
      broker: this.#broker,
      affinity: new AffinityTable(),
      ledger: this.#ledger,
      keepAliveMs: this.#config.loading.keep_alive_ms,
      silenceMs: this.#config.gateway.stream_silence_ms,
      inFlight: this.#inFlight,
      dispatcher: this.#agent,
      metrics: this.#metrics,
      clock: this.#clock,
      bodyLimitBytes: this.#config.gateway.body_limit_bytes,
      onFailure: (node: string) => this.#poller.lookFresh(node),
    };
    const infer = inferenceHandler(options);
    const models = {
      list: () => this.#listModels(createdSeconds),
      resolve: (name: string) => resolveAlias(this.#catalogue, name),
    };
    const translation = { ...options, stripBillingHeader: this.#config.gateway.strip_billing_header };
    return {
      '/': { GET: json(() => describeHealth(this.#fleet)) },
      '/health': { GET: json(() => describeHealth(this.#fleet)) },
      '/version': { GET: json(() => version) },
      '/v1/models': { GET: modelsHandler(models) },
      '/v1/models/*': { GET: modelHandler(models) },
      '/v1/chat/completions': { POST: infer },
      '/v1/completions': { POST: infer },
      '/v1/embeddings': { POST: infer },
      '/v1/messages': { POST: messagesHandler(translation) },
      '/v1/messages/count_tokens': { POST: countTokensHandler(translation) },
      '/v1/responses': { POST: responsesHandler(translation) },
      '/v1/responses/input_tokens': { POST: inputTokensHandler(translation) },
      '/admin/keys': {
        GET: async ({ response }) => {
          const data = await Promise.all(
            this.#keys.principals.map((principal) => describeKey(principal, this.#ledger)),
          );
          sendJson(response, 200, { object: 'list', data });
        },
      },
      '/fleet/plan': { POST: planHandler({ broker: this.#broker, catalogue: () => this.#catalogue }) },
      '/admin/reload': {
        POST: async ({ response }) => {
          const problem = await this.#reload();
          if (problem !== undefined) throw problem;
          const { entries, aliases } = this.#catalogue;
          sendJson(response, 200, { models: entries.size, aliases: aliases.size, keys: this.#keys.size });
        },
      },
    };
  }

  /** Reads again what can change while the gateway runs. Settles with the first thing that is wrong with it. */
  async #reload(): Promise<unknown> {
    const problem = await this.#catalogueFile?.reload();
    return problem ?? (await this.#reloadKeys());
  }

  async #reloadKeys(): Promise<unknown> {
    if (!this.#readConfig) return undefined;
    try {
      const { entitlements } = await this.#readConfig();
      refuseOpenDoor({ ...this.#config, entitlements });
      this.#keys = new KeyRing(entitlements);
      this.#metrics.configReloads.inc({ outcome: 'ok' });
      this.#log.info({ keys: entitlements.keys.length }, 'keys read; other settings count from the next start');
      return undefined;
    } catch (error) {
      this.#metrics.configReloads.inc({ outcome: 'refused' });
      this.#log.error({ err: error }, 'keys not read; those before stay');
      return error;
    }
  }

  #listModels(createdSeconds: number): ModelList {
    const view = this.#broker.view();
    const feasibleOn = (entry: CatalogueEntry): string[] =>
      this.#fleet.filter((node) => node.healthy && couldHold(view, entry, node) === true).map(({ name }) => name);
    return listModels(this.#fleet, {
      catalogue: this.#catalogue,
      feasibleOn,
      jobs: this.#broker.jobs,
      createdSeconds,
    });
  }

  /** Who makes a request; throws when it may not be made. */
  #principalOf(path: string, request: IncomingMessage): Principal | undefined {
    if (path === '/' || path === '/health') return undefined;
    if (path.startsWith('/admin/')) return this.#keys.resolveAdmin(request.headers);
    return this.#keys.resolve(request.headers);
  }

  /** Handles one request to its end; nothing escapes it. */
  readonly #onRequest = async (request: IncomingMessage, response: ClientResponse): Promise<void> => {
    const startedAt = this.#clock.now();
    const id = requestIdOf(request.headers['x-request-id'], this.#makeId);
    const path = (request.url ?? '/').split('?', 1)[0] as string;
    const method = request.method ?? 'GET';
    const facts: Record<string, unknown> = {};
    const exchange = new Stop();
    this.#open.add(exchange);
    const dialect = dialectOf(path, request.headers);
    response.always['x-request-id'] = id;
    if (dialect === 'anthropic') response.always['request-id'] = id;
    const settings = this.#config.gateway;
    if (settings.cors_origins.length > 0) Object.assign(response.always, corsHeaders(settings, request));
    if (this.#isDraining) response.always['connection'] = 'close';
    const closed = new Promise<void>((resolve) => {
      response.once('close', () => {
        if (!response.writableFinished) exchange.abort();
        resolve();
      });
    });
    // A socket that fails closes too: that is where it is handled.
    response.on('error', () => {});
    try {
      if (this.#isDraining) throw new CortexError('shutting_down', {});
      const preflight = preflightHeaders(settings, request, allowedMethods(this.#routes, path));
      if (preflight) response.writeHead(204, preflight).end();
      else {
        refuseBlindPost(settings, request);
        const principal = this.#principalOf(path, request);
        const handler = findHandler(this.#routes, method, path);
        await handler({ id, request, response, path, signal: exchange.signal, facts, principal });
      }
    } catch (error) {
      facts['error'] = error;
      if (response.headersSent || response.destroyed) response.destroy();
      else sendError(response, error, { dialect, requestId: id });
    }
    await closed;
    this.#open.delete(exchange);
    if (this.#open.size === 0) this.#onLastExchange?.();
    this.#account(method, path, response, facts, { id, ms: Math.round(this.#clock.now() - startedAt) });
  };

  #account(method: string, path: string, response: ClientResponse, facts: Record<string, unknown>, more: object): void {
    const { error, ...rest } = facts;
    const status = response.headersSent ? response.statusCode : 499;
    const route = routeOf(this.#routes, path) ?? 'unknown';
    const { model = '', node = '', key = '' } = facts as { model?: string; node?: string; key?: string };
    this.#metrics.requests.inc({ route, model, node, key, status: String(status) });
    const line = { method, path, status, ...rest, ...more };
    if (error === undefined) this.#log.info(line, 'request');
    // A client's own mistake needs no stack in the log.
    else if (CortexError.isInstance(error) && error.status < 500) {
      this.#log.warn({ ...line, code: error.code, reason: error.message }, 'request refused');
    } else this.#log.error({ ...line, err: error }, 'request failed');
  }

  /** Begins to watch the neurons; a slow one holds nobody up for long. */
  async #firstLook(): Promise<void> {
    let cancel = (): void => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.after(this.#firstLookMs, resolve);
    });
    await Promise.race([this.#poller.start(), late]);
    cancel();
  }

  async start(): Promise<RunningGateway> {
    const { listen, metrics_listen: metricsListen, drain_timeout_ms: drainTimeoutMs } = this.#config.gateway;
    const servers: HttpServer[] = [];
    try {
      refuseOpenDoor(this.#config);
      await this.#catalogueFile?.start();
      await this.#ledger.open();
      await this.#firstLook();
      const onRequest = (request: IncomingMessage, response: ClientResponse) => void this.#onRequest(request, response);
      const main = await this.#world.listen({ listen, setting: 'gateway.listen', onRequest });
      servers.push(main);
      const metrics = await this.#world.listen({
        listen: metricsListen,
        setting: 'gateway.metrics_listen',
        onRequest: (request, response) => void this.#onScrape(request, response),
      });
      servers.push(metrics);
      this.#log.info({ url: main.url, metricsUrl: metrics.url }, 'gateway listens');
      let closing: Promise<void> | undefined;
      const close = (): Promise<void> => {
        closing ??= this.#close(main, metrics, drainTimeoutMs);
        return closing;
      };
      const reload = async (): Promise<void> => {
        await this.#reload();
      };
      const counts = () => ({
        waiting: this.#broker.waiting,
        leased: this.#broker.leased,
        attempts: this.#fleet.reduce((sum, { name }) => sum + this.#inFlight.count(name), 0),
        open: this.#open.size,
      });
      return { url: main.url, metricsUrl: metrics.url, reload, counts, close };
    } catch (error) {
      for (const server of servers) void server.stop();
      this.#broker.close();
      await this.#catalogueFile?.close();
      await this.#poller.close();
      await this.#ledger.close();
      await this.#agent.destroy();
      throw error;
    }
  }

  async #onScrape(request: IncomingMessage, response: ClientResponse): Promise<void> {
    const { method = 'GET', url = '/' } = request;
    const path = url.split('?', 1)[0] as string;
    const { registry } = this.#metrics;
    const scrape: Handler = async () => {
      const text = await registry.metrics();
      response.writeHead(200, { 'content-type': registry.contentType }).end(text);
    };
    try {
      const handler = findHandler({ '/metrics': { GET: scrape } }, method, path);
      await handler({ id: '', request, response, path, signal: new Stop(), facts: {} });
    } catch (error) {
      this.#log.warn({ err: error, method, path }, 'scrape failed');
      sendError(response, error);
    }
  }

  /** Settles when no exchange is open, at the latest after a while. */
  async #drained(timeoutMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(timeoutMs, resolve);
      this.#onLastExchange = () => {
        cancel();
        resolve();
      };
    });
  }

  async #close(main: HttpServer, metrics: HttpServer, drainTimeoutMs: number): Promise<void> {
    this.#isDraining = true;
    const stopped = main.stop();
    await this.#drained(drainTimeoutMs);
    for (const exchange of this.#open) exchange.abort(new CortexError('shutting_down', {}));
    // The errors have to reach the clients before their connections are cut.
    await this.#drained(farewellMs);
    this.#broker.close();
    await this.#catalogueFile?.close();
    await this.#poller.close();
    await this.#ledger.close();
    main.cut();
    metrics.cut();
    await Promise.all([stopped, metrics.stop(), this.#agent.destroy()]);
    this.#log.info('gateway stopped');
  }
}

/**
 * Starts a gateway: listens, watches its neurons, and relays requests to them.
 *
 * @example
 * const gateway = await startGateway({ config });
 * await gateway.close();
 */
export const startGateway = async (options: GatewayOptions): Promise<RunningGateway> =>
  new Gateway(options, await readLinks(options.config.neurons)).start();
