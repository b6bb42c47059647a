import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type Address, type Clock, CortexError, formatAddress, toOpenAiError } from '@helexa/core';
import type { Logger } from 'pino';
import { checkToken, type Door } from './door.js';
import { type Exchange, sendError } from './exchange.js';
import type { NeuronMetrics } from './metrics.js';
import { matchRoute, type Route } from './router.js';

export interface HttpServerOptions {
  readonly address: Address;
  /** Plain and for everyone when absent. */
  readonly door?: Door;
  readonly routes: readonly Route[];
  readonly metrics: NeuronMetrics;
  readonly clock: Clock;
  readonly log: Logger;
  readonly newId: (prefix: string) => string;
}

/** A listening HTTP server. Owner: whoever opened it. */
export interface HttpServer {
  readonly address: Address;
  /** Stops accepting, lets answers under way end until the deadline, then cuts what is left. */
  close(drainMs: number): Promise<void>;
}

/** Binds and serves; rejects with `port_in_use` or `listen_failed`. */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  let isClosing = false;
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    // A connection that is kept alive would hold up the close until its own timeout.
    response.on('close', () => isClosing && setImmediate(() => server.closeIdleConnections()));
    void answer(options, request, response);
  };
  const tls = options.door?.tls;
  const server: Server = tls ? createTlsServer({ ...tls }, onRequest) : createServer(onRequest);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuseMalformed(error, socket));
  await listen(server, options.address);
  const { port } = server.address() as AddressInfo;
  return {
    address: { ...options.address, port },
    close: (drainMs) => {
      isClosing = true;
      return closeServer(server, options.clock, drainMs);
    },
  };
}

async function answer(options: HttpServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const abort = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished)
      abort.abort(new CortexError('request_cancelled', { reason: 'the client has gone' }));
  });
  const requestId = headerOf(request, 'x-request-id') ?? options.newId('req-');
  response.setHeader('x-request-id', requestId);
  const method = request.method ?? 'GET';
  const log = options.log.child({ request_id: requestId });
  const base = { request, response, signal: abort.signal, log };
  let exchange: Exchange = { ...base, params: {} };
  let route = 'none';
  try {
    checkToken(options.door ?? {}, request.headers.authorization);
    const match = matchRoute(options.routes, method, request.url ?? '/');
    route = match.route.path;
    exchange = { ...base, params: match.params };
    await match.route.handle(exchange);
  } catch (error) {
    sendError(exchange, error);
  } finally {
    options.metrics.requests.inc({ route, status: String(response.statusCode) });
  }
}

/** A printable header of reasonable length, or nothing. */
function headerOf(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' && /^[\x21-\x7e]{1,128}$/.test(value) ? value : null;
}

/** What the HTTP parser itself refused: there is no request to answer, only a socket. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const known =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new CortexError('headers_too_large', { limitBytes: 16_384 }, { cause: error })
      : new CortexError('malformed_http', { reason: 'it does not follow HTTP/1.1' }, { cause: error });
  const { status, body } = toOpenAiError(known, 'neuron');
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${status} ${known.code}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}

async function listen(server: Server, address: Address): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address.port, address.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    const where = { address: formatAddress(address), setting: 'listen' };
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE')
      throw new CortexError('port_in_use', where, { cause: error });
    const reason = error instanceof Error ? error.message : String(error);
    throw new CortexError('listen_failed', { ...where, reason }, { cause: error });
  }
}

async function closeServer(server: Server, clock: Clock, drainMs: number): Promise<void> {
  const cancel = clock.after(drainMs, () => server.closeAllConnections());
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  await closed;
  cancel();
}
