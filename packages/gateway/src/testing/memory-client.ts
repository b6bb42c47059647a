import { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { ClientResponse } from '../http/client-response.js';

/** How a request ended as its client saw it. */
export interface Outcome {
  readonly status: number;
  readonly body: string;
  /** The connection went before the answer ended. */
  readonly isBroken: boolean;
  /** How often the answer ended. */
  readonly ends: number;
}

/** A socket whose other end keeps what comes, or does not read at all. */
class MemorySocket extends Duplex {
  text: Buffer[] = [];
  isStalled = false;
  #pending: (() => void) | undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text.push(chunk);
    if (this.isStalled) this.#pending = done;
    else done();
  }

  drain(): void {
    this.isStalled = false;
    this.#pending?.();
    this.#pending = undefined;
  }

  setTimeout(): this {
    return this;
  }
}

/** The body of a response in chunked form or in one piece. */
const bodyOf = (raw: Buffer): string => {
  const split = raw.indexOf('\r\n\r\n');
  const head = raw.toString('latin1', 0, split).toLowerCase();
  if (!head.includes('transfer-encoding: chunked')) return raw.subarray(split + 4).toString();
  const parts: Buffer[] = [];
  let at = split + 4;
  for (;;) {
    const end = raw.indexOf('\r\n', at);
    const length = end < 0 ? 0 : Number.parseInt(raw.toString('latin1', at, end), 16);
    if (!length) break;
    parts.push(raw.subarray(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
  return Buffer.concat(parts).toString();
};

/** One request to a gateway in memory. */
export class MemoryClient {
  readonly #socket = new MemorySocket();
  readonly #request: IncomingMessage;
  readonly #response: ClientResponse;
  readonly #body: Buffer | undefined;
  #ends = 0;
  #isBroken = false;

  constructor(
    onRequest: (request: IncomingMessage, response: ClientResponse) => void,
    {
      path,
      headers = {},
      body,
      isSlow = false,
    }: {
      readonly path: string;
      readonly headers?: Record<string, string>;
      readonly body?: object;
      /** Sends its body when it is told to, not at once. */
      readonly isSlow?: boolean;
    },
  ) {
    this.#request = new IncomingMessage(this.#socket as never);
    Object.assign(this.#request, {
      method: body ? 'POST' : 'GET',
      url: path,
      httpVersionMajor: 1,
      httpVersionMinor: 1,
      httpVersion: '1.1',
    });
    Object.assign(this.#request.headers, { 'content-type': 'application/json', ...headers });
    this.#response = new ClientResponse(this.#request);
    this.#response.assignSocket(this.#socket as never);
    this.#response.on('finish', () => {
      this.#ends += 1;
      this.#response.detachSocket(this.#socket as never);
      this.#response.emit('close');
    });
    this.#socket.on('close', () => {
      if (this.#ends === 0) this.#isBroken = true;
    });
    this.#body = body && Buffer.from(JSON.stringify(body));
    onRequest(this.#request, this.#response);
    if (!isSlow) this.send();
  }

  /** Sends the body. */
  send(): void {
    if (this.#request.complete || this.#socket.destroyed) return;
    if (this.#body) this.#request.push(this.#body);
    this.#request.complete = true;
    this.#request.push(null);
  }

  /** The answer so far is over, one way or the other. */
  get isOver(): boolean {
    return this.#ends > 0 || this.#isBroken;
  }

  leave(): void {
    this.#socket.destroy();
    // As the HTTP parser does when a connection goes in the middle of a request.
    if (!this.#request.complete) this.#request.destroy();
  }

  stall(): void {
    this.#socket.isStalled = true;
  }

  read(): void {
    this.#socket.drain();
  }

  get outcome(): Outcome {
    const raw = Buffer.concat(this.#socket.text);
    const status = Number(raw.toString('latin1', 9, 12));
    return { status, body: raw.length === 0 ? '' : bodyOf(raw), isBroken: this.#isBroken, ends: this.#ends };
  }
}
