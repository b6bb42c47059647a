import type { IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type Dispatcher, errors } from 'undici';
import { NotHttp, type ResponseEvents, ResponseParser } from './response-parser.js';

/** A request whose body is in memory. */
export interface PlainRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer;
}

export interface PlainConnectionOptions {
  readonly url: URL;
  readonly connectTimeoutMs: number;
  /** Bytes that a read is put into, until it has been handled: one of all connections, as no two reads are handled at once. */
  readonly scratch: Buffer;
  /** The last request has been answered whole: another may follow. */
  readonly onIdle: (connection: PlainConnection) => void;
  readonly onGone: (connection: PlainConnection) => void;
}

const tcpKeepAliveMs = 60_000;
/** A server that does not say for how long it keeps an idle connection is thought to do so for this long. */
const ordinaryIdleMs = 4000;
const longestIdleMs = 600_000;
/** Time for a request to arrive before the other end gives the connection up. */
const idleMarginMs = 1000;
/** Up to this size head and body are one piece: copying costs less than a second one. */
const onePieceBytes = 16 << 10;

const badValue = /[^\t\x20-\x7e\x80-\xff]/;
const badPath = /[^\x21-\x7e]/;

/** The bytes before the body. */
const headOf = (host: string, { path, headers, body }: PlainRequest): string => {
  if (badPath.test(path)) throw new errors.InvalidArgumentError('invalid request path');
  let head = `POST ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
  for (const name in headers) {
    const value = headers[name] as string | string[];
    for (const each of typeof value === 'string' ? [value] : value) {
      if (badValue.test(each)) throw new errors.InvalidArgumentError(`invalid ${name} header`);
      head += `${name}: ${each}\r\n`;
    }
  }
  return `${head}content-length: ${body.length}\r\n\r\n`;
};

const notHttp = ({ reason }: NotHttp): Error =>
  Object.assign(new errors.HTTPParserError(reason), { code: 'HPE_INVALID_RESPONSE' });

/** How long a server says that it keeps an idle connection. */
const idleMsOf = (keepAlive: string | string[] | undefined): number => {
  if (keepAlive === undefined) return ordinaryIdleMs;
  const seconds = /\btimeout=(\d{1,6})\b/i.exec(String(keepAlive))?.[1];
  return seconds === undefined ? ordinaryIdleMs : Math.min(longestIdleMs, Number(seconds) * 1000) - idleMarginMs;
};

/** One request on a connection; what is done to it when it is over does nothing to the next one. */
class Exchange implements Dispatcher.DispatchController {
  aborted = false;
  paused = false;
  reason: Error | null = null;
  #connection: PlainConnection | undefined;

  constructor(
    readonly handler: Dispatcher.DispatchHandler,
    connection: PlainConnection,
  ) {
    this.#connection = connection;
  }

  abort(reason: Error): void {
    if (!this.#connection) return;
    this.aborted = true;
    this.reason = reason;
    this.#connection.fail(reason);
  }

  pause(): void {
    this.paused = true;
    this.#connection?.pause(true);
  }

  resume(): void {
    this.paused = false;
    this.#connection?.pause(false);
  }

  end(): void {
    this.#connection = undefined;
  }
}

/**
 * A connection to a server without TLS, one request at a time. It does what a relay of streams needs and no more: a read goes
 * from the system into one buffer and from there to the handler, without a stream, a promise or a timer between. Owner: its pool.
 */
export class PlainConnection implements ResponseEvents {
  /** When the other end may give up the connection; only while it is idle. */
  idleUntilMs = 0;
  readonly #options: PlainConnectionOptions;
  readonly #socket: Socket;
  readonly #parser: ResponseParser;
  #exchange: Exchange | undefined;
  #idleMs = ordinaryIdleMs;
  #isGone = false;
  /** Of a connection that is not there yet. */
  #connecting: NodeJS.Timeout | undefined;
  #error: Error | undefined;

  constructor(options: PlainConnectionOptions) {
    this.#options = options;
    const { url, connectTimeoutMs, scratch } = options;
    this.#parser = new ResponseParser(this);
    const { hostname, port } = url;
    this.#socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || 80),
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: tcpKeepAliveMs,
      onread: { buffer: scratch, callback: (length) => this.#onRead(length) },
    });
    const socket = this.#socket;
    this.#connecting = setTimeout(() => this.fail(new errors.ConnectTimeoutError()), connectTimeoutMs);
    socket.once('connect', () => this.#stopWaiting());
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.once('end', () => this.#onFin());
    socket.once('close', () => this.fail(this.#error ?? new errors.SocketError('other side closed')));
  }

  #stopWaiting(): void {
    clearTimeout(this.#connecting);
    this.#connecting = undefined;
  }

  /** Sends a request; its handler hears of everything that becomes of it. */
  send(request: PlainRequest, handler: Dispatcher.DispatchHandler): void {
    const exchange = new Exchange(handler, this);
    this.#exchange = exchange;
    try {
      handler.onRequestStart?.(exchange, {});
      if (this.#exchange !== exchange) return;
      const { body } = request;
      const head = headOf(this.#options.url.host, request);
      if (body.length <= onePieceBytes) {
        const whole = Buffer.allocUnsafe(head.length + body.length);
        whole.write(head, 0, 'latin1');
        body.copy(whole, head.length);
        this.#socket.write(whole);
        return;
      }
      this.#socket.cork();
      this.#socket.write(Buffer.from(head, 'latin1'));
      this.#socket.write(body);
      this.#socket.uncork();
    } catch (error) {
      this.fail(error as Error);
    }
  }

  pause(isPaused: boolean): void {
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  #onRead(length: number): boolean {
    const bytes = this.#options.scratch.subarray(0, length);
    const wasAsked = this.#exchange !== undefined;
    try {
      this.#parser.push(bytes);
      if (!this.#exchange && !this.#isGone) {
        // What nobody asked for would be taken for the answer to the next request.
        if (wasAsked && this.#parser.isBetween) this.#options.onIdle(this);
        else this.close();
      }
    } catch (error) {
      this.fail(error instanceof NotHttp ? notHttp(error) : (error as Error));
    }
    return this.#exchange?.paused !== true;
  }

  onHead(status: number, headers: IncomingHttpHeaders): void {
    this.#idleMs = idleMsOf(headers['keep-alive']);
    const exchange = this.#exchange;
    if (!exchange) throw new NotHttp('it answers what nobody asked');
    exchange.handler.onResponseStart?.(exchange, status, headers);
  }

  onBody(part: Buffer): void {
    const exchange = this.#exchange;
    // The receiver may keep it, and the buffer is the next read's.
    exchange?.handler.onResponseData?.(exchange, Buffer.from(part));
  }

  #onFin(): void {
    try {
      this.#parser.end();
    } catch (error) {
      this.fail(error as Error);
    }
  }

  onEnd(stays: boolean): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    this.#exchange = undefined;
    exchange.end();
    // What was not sent of the request would come before the next one.
    const isReusable = stays && this.#idleMs > 0 && this.#socket.writableLength === 0 && !this.#isGone;
    if (!isReusable) this.close();
    else {
      if (exchange.paused) this.#socket.resume();
      this.idleUntilMs = performance.now() + this.#idleMs;
    }
    exchange.handler.onResponseEnd?.(exchange, {});
  }

  /** Ends the connection, and the request on it with this error. */
  fail(error: Error): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.end();
    this.close();
    exchange?.handler.onResponseError?.(exchange, error);
  }

  close(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#stopWaiting();
    this.#socket.destroy();
    this.#options.onGone(this);
  }
}
