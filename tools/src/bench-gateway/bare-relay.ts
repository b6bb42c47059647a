/** The least that a relay of `node:http` and `undici` can be: no keys, no routing, no metrics, no log. Started with an IPC channel. */
import { createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { CortexError } from '@helexa/core';

/** As much of undici as is used here: the gateway's own copy of it is the one to compare with. */
interface Undici {
  readonly Pool: new (
    origin: string,
    options: object,
  ) => {
    dispatch(
      request: object,
      handler: {
        onRequestStart(controller: Controller): void;
        onResponseStart(controller: Controller, status: number, headers: IncomingHttpHeaders): void;
        onResponseData(controller: Controller, chunk: Buffer): void;
        onResponseEnd(): void;
        onResponseError(): void;
      },
    ): void;
  };
}
interface Controller {
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

const [upstream] = process.argv.slice(2) as [string];
const undici = createRequire(import.meta.resolve('@helexa/gateway'))('undici') as Undici;
const pool = new undici.Pool(upstream, { headersTimeout: 0, bodyTimeout: 0 });

const gone = new CortexError('request_cancelled', { reason: 'the client left' });

const server = createServer({ noDelay: true, keepAliveTimeout: 75_000 }, (request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => void parts.push(part));
  request.on('end', () => {
    const { host: _host, 'content-length': _length, connection: _connection, ...headers } = request.headers;
    const body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    pool.dispatch(
      { path: request.url ?? '/', method: 'POST', headers, body },
      {
        onRequestStart: (controller) => void response.once('close', () => controller.abort(gone)),
        onResponseStart: (_controller, status, { 'transfer-encoding': _coding, ...rest }) =>
          void response.writeHead(status, rest as OutgoingHttpHeaders),
        onResponseData: (controller, chunk) => {
          if (response.write(chunk)) return;
          controller.pause();
          response.once('drain', () => controller.resume());
        },
        onResponseEnd: () => void response.end(),
        onResponseError: () => void response.destroy(),
      },
    );
  });
});
server.listen(0, '127.0.0.1', 4096, () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
process.once('SIGTERM', () => process.exit());
process.on('disconnect', () => process.exit());
