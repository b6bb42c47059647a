import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { CortexError, formatAddress, parseAddress, toOpenAiError } from '@helexa/core';
import { dialectOf } from '../translate/dialect.js';
import { ClientResponse } from './client-response.js';
import { errorBodyIn } from './respond.js';

export interface HttpServerOptions {
  /** `host:port`. */
  readonly listen: string;
  /** Name of the setting that holds the address, for the error when it cannot be had. */
  readonly setting: string;
  readonly onRequest: (request: IncomingMessage, response: ClientResponse) => void;
}

export interface HttpServer {
  readonly url: string;
  /** Takes no new connections; settles when the last one is gone. */
  stop(): Promise<void>;
  /** Cuts what is left. */
  cut(): void;
}

const headerLimitBytes = 32 << 10;
const headerTimeoutMs = 10_000;
const requestTimeoutMs = 300_000;
/** Longer than clients and proxies keep an idle connection, so that they are the ones to close it. */
const keepAliveTimeoutMs = 75_000;

const phrase: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer };

/** The path of a request that was never read whole; empty where even that is not known. */
const pathIn = (packet: Buffer | undefined): string =>
  /^[A-Z]+ ([^ ?\r\n]+)/.exec(packet?.subarray(0, 2048).toString('latin1') ?? '')?.[1] ?? '';

/** Errors of the HTTP parser arise before there is a response object. */
const answerBrokenRequest = (error: ParserError, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const known =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new CortexError('headers_too_large', { limitBytes: headerLimitBytes })
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new CortexError('request_timeout', { what: 'the request', timeoutMs: headerTimeoutMs })
        : new CortexError('malformed_http', { reason: 'it does not follow RFC 9112' }, { cause: error });
  const { status, body } = toOpenAiError(known, 'gateway');
  const text = JSON.stringify(errorBodyIn(dialectOf(pathIn(error.rawPacket), {}), status, body, ''));
  socket.end(
    `HTTP/1.1 ${status} ${phrase[status] ?? 'Error'}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
};

const listenError = (error: NodeJS.ErrnoException, address: string, setting: string): CortexError =>
  error.code === 'EADDRINUSE'
    ? new CortexError('port_in_use', { address, setting }, { cause: error })
    : new CortexError(
        'listen_failed',
        { address, setting, reason: `the system refused it (${error.code ?? error.message})` },
        { cause: error },
      );

const listening = (server: Server, listen: string, setting: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const address = parseAddress(listen);
    if (!address) {
      reject(new CortexError('listen_failed', { address: listen, setting, reason: "'host:port' is wanted" }));
      return;
    }
    const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, listen, setting));
    server.once('error', onError);
    server.listen(address.port, address.host, () => {
      server.off('error', onError);
      resolve();
    });
  });

/** Starts a server with the limits that every listener of the gateway has. */
export const startHttpServer = async ({ listen, setting, onRequest }: HttpServerOptions): Promise<HttpServer> => {
  const server = createServer(
    {
      maxHeaderSize: headerLimitBytes,
      headersTimeout: headerTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: 5000,
      noDelay: true,
      ServerResponse: ClientResponse,
    },
    onRequest,
  );
  // The handler decides whether the body is wanted before it asks the client to go on.
  server.on('checkContinue', onRequest);
  server.on('clientError', answerBrokenRequest);
  await listening(server, listen, setting);
  const { address: host, port } = server.address() as AddressInfo;
  return {
    url: `http://${formatAddress({ host, port })}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
    cut: () => server.closeAllConnections(),
  };
};
