import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, CortexError, type GatewayConfig, systemClock } from '@helexa/core';
import { type Logger, pino } from 'pino';
import { Agent } from 'undici';
import { describeHealth } from './fleet/describe-health.js';
import { applyLookTo, createFleet, type Fleet, type Look, type NodeState } from './fleet/fleet.js';
import { listModels } from './fleet/list-models.js';
import { lookAtNeuron } from './fleet/look-at-neuron.js';
import { type LookAt, Poller } from './fleet/poller.js';
import { type HttpServer, startHttpServer } from './http/http-server.js';
import { requestIdOf } from './http/request-id.js';
import { sendError, sendJson } from './http/respond.js';
import { findHandler, type Handler, type Routes } from './http/router.js';
import { Metrics } from './metrics/metrics.js';
import { InFlight } from './proxy/in-flight.js';
import { inferenceHandler } from './routes/inference.js';
import { modelsHandler } from './routes/models.js';
import { countTokensHandler, inputTokensHandler, messagesHandler, responsesHandler } from './routes/translated.js';
import { dialectOf } from './translate/dialect.js';

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly logger?: Logger;
  /** The machine's own when absent. */
  readonly clock?: Clock;
  /** Makes request ids; random ones when absent. */
  readonly makeId?: () => string;
}

export interface RunningGateway {
  readonly url: string;
  readonly metricsUrl: string;
  /** Stops taking requests, lets open ones end for a while, then ends them with a typed error. */
  close(): Promise<void>;
}

/** Longest wait for the first look at all nodes before the gateway opens its port. */
const firstLookMs = 1000;
const connectTimeoutMs = 5000;
/** Time for the last errors to reach their clients. */
const farewellMs = 1000;

const packageVersion = (): string =>
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

class Gateway {
  readonly #config: GatewayConfig;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #makeId: () => string;
  readonly #agent = new Agent({ connect: { timeout: connectTimeoutMs }, allowH2: false });
  readonly #inFlight = new InFlight();
  readonly #metrics: Metrics;
  readonly #poller: Poller;
  readonly #open = new Set<AbortController>();
  readonly #routes: Routes;
  #fleet: Fleet;
  #isDraining = false;
  #onLastExchange: (() => void) | undefined;

  constructor({ config, logger, clock, makeId }: GatewayOptions) {
    this.#config = config;
    this.#log = logger ?? pino({ name: 'gateway', level: config.log.level });
    this.#clock = clock ?? systemClock;
    this.#makeId = makeId ?? randomUUID;
    this.#fleet = createFleet(config.neurons);
    this.#metrics = new Metrics(
      () => this.#fleet,
      (node) => this.#inFlight.count(node),
    );
    this.#poller = new Poller({
      names: this.#fleet.map(({ name }) => name),
      stateOf: (name) => this.#node(name),
      lookAt: lookAtNeuron(this.#agent) satisfies LookAt,
      onLook: (name, look) => this.#onLook(name, look),
      clock: this.#clock,
      intervalMs: config.gateway.poll_interval_ms,
      timeoutMs: config.gateway.poll_timeout_ms,
    });
    this.#routes = this.#makeRoutes();
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
    if (before.healthy !== now.healthy || before.reason !== now.reason) {
      this.#log.info({ node: name, healthy: now.healthy, reason: now.reason }, 'neuron changed');
    }
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
      inFlight: this.#inFlight,
      dispatcher: this.#agent,
      metrics: this.#metrics,
      clock: this.#clock,
      bodyLimitBytes: this.#config.gateway.body_limit_bytes,
      onFailure: (node: string) => void this.#poller.lookNow(node),
    };
    const infer = inferenceHandler(options);
    const translation = { ...options, stripBillingHeader: this.#config.gateway.strip_billing_header };
    return {
      '/': { GET: json(() => describeHealth(this.#fleet)) },
      '/health': { GET: json(() => describeHealth(this.#fleet)) },
      '/version': { GET: json(() => version) },
      '/v1/models': { GET: modelsHandler(() => listModels(this.#fleet, createdSeconds)) },
      '/v1/chat/completions': { POST: infer },
      '/v1/completions': { POST: infer },
      '/v1/messages': { POST: messagesHandler(translation) },
      '/v1/messages/count_tokens': { POST: countTokensHandler(translation) },
      '/v1/responses': { POST: responsesHandler(translation) },
      '/v1/responses/input_tokens': { POST: inputTokensHandler(translation) },
    };
  }

  /** Handles one request to its end; nothing escapes it. */
  readonly #onRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const startedAt = this.#clock.now();
    const id = requestIdOf(request.headers['x-request-id'], this.#makeId);
    const path = (request.url ?? '/').split('?', 1)[0] as string;
    const method = request.method ?? 'GET';
    const facts: Record<string, unknown> = {};
    const exchange = new AbortController();
    this.#open.add(exchange);
    const dialect = dialectOf(path, request.headers);
    response.setHeader('x-request-id', id);
    if (dialect === 'anthropic') response.setHeader('request-id', id);
    if (this.#isDraining) response.setHeader('connection', 'close');
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
      await findHandler(this.#routes, method, path)({ id, request, response, path, signal: exchange.signal, facts });
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

  #account(method: string, path: string, response: ServerResponse, facts: Record<string, unknown>, more: object): void {
    const { error, ...rest } = facts;
    const status = response.headersSent ? response.statusCode : 499;
    const route = Object.hasOwn(this.#routes, path) ? path : 'unknown';
    const { model, node } = facts as { model?: string; node?: string };
    this.#metrics.requests.inc({ route, model: model ?? '', node: node ?? '', status: String(status) });
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
      cancel = this.#clock.after(firstLookMs, resolve);
    });
    await Promise.race([this.#poller.start(), late]);
    cancel();
  }

  async start(): Promise<RunningGateway> {
    const { listen, metrics_listen: metricsListen, drain_timeout_ms: drainTimeoutMs } = this.#config.gateway;
    const servers: HttpServer[] = [];
    try {
      await this.#firstLook();
      const onRequest = (request: IncomingMessage, response: ServerResponse) => void this.#onRequest(request, response);
      const main = await startHttpServer({ listen, setting: 'gateway.listen', onRequest });
      servers.push(main);
      const metrics = await startHttpServer({
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
      return { url: main.url, metricsUrl: metrics.url, close };
    } catch (error) {
      for (const server of servers) void server.stop();
      await this.#poller.close();
      await this.#agent.destroy();
      throw error;
    }
  }

  async #onScrape(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = request;
    const path = url.split('?', 1)[0] as string;
    const { registry } = this.#metrics;
    const scrape: Handler = async () => {
      const text = await registry.metrics();
      response.writeHead(200, { 'content-type': registry.contentType }).end(text);
    };
    try {
      const handler = findHandler({ '/metrics': { GET: scrape } }, method, path);
      await handler({ id: '', request, response, path, signal: new AbortController().signal, facts: {} });
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
    await this.#poller.close();
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
export const startGateway = (options: GatewayOptions): Promise<RunningGateway> => new Gateway(options).start();
