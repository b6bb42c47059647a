/**
 * Reads the answers of one connection, HTTP/1.1 as RFC 9112 has it and nothing more lenient: what could be read in two ways is
 * refused, as the neuron of the next request would be answered with the rest of this one.
 */
import type { IncomingHttpHeaders } from 'node:http';

export interface ResponseEvents {
  onHead(status: number, headers: IncomingHttpHeaders): void;
  /** A part of the body; a view of the bytes that were pushed. */
  onBody(part: Buffer): void;
  /** The answer is whole; `stays` tells whether another request may follow on this connection. */
  onEnd(stays: boolean): void;
}

/** Thrown by `push`: what came is no answer. */
export class NotHttp {
  constructor(readonly reason: string) {}
}

const headLimitBytes = 32 << 10;
const sizeLineLimitBytes = 1 << 10;
const largestChunk = 2 ** 40;

const [carriageReturn, lineFeed, semicolon] = [0x0d, 0x0a, 0x3b];
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;
const decimal = /^\d{1,15}$/;

type State =
  | 'head'
  /** So many bytes are missing. */
  | 'length'
  /** All that comes until the connection ends. */
  | 'close'
  | 'size'
  | 'extension'
  | 'size-end'
  | 'chunk'
  | 'chunk-return'
  | 'chunk-end'
  | 'trailers';

const hexValue = (byte: number): number => {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
};

const lower = (value: string | string[] | undefined): string => String(value ?? '').toLowerCase();

export class ResponseParser {
  readonly #events: ResponseEvents;
  #state: State = 'head';
  /** The beginning of a head or of trailers that is not yet whole. */
  #held: Buffer | undefined;
  /** Bytes that are missing of a body or a chunk. */
  #missing = 0;
  #lineBytes = 0;
  #hasDigits = false;
  #stays = true;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** True when nothing of an answer has come since the last one was whole. */
  get isBetween(): boolean {
    return this.#state === 'head' && this.#held === undefined;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      switch (this.#state) {
        case 'head':
        case 'trailers':
          at = this.#pushHead(bytes, at);
          break;
        case 'close':
          this.#events.onBody(at === 0 ? bytes : bytes.subarray(at));
          return;
        case 'length':
        case 'chunk':
          at = this.#pushBody(bytes, at);
          break;
        default:
          at = this.#pushFraming(bytes, at);
      }
    }
  }

  /** The connection has ended; false when an answer is cut by that. */
  end(): boolean {
    if (this.#state === 'close') this.#finish(false);
    return this.isBetween;
  }

  #finish(stays: boolean): void {
    this.#state = 'head';
    this.#events.onEnd(stays);
  }

  #pushBody(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#missing);
    this.#missing -= end - at;
    const isWhole = this.#missing === 0;
    const isChunk = this.#state === 'chunk';
    if (isWhole && isChunk) this.#state = 'chunk-return';
    this.#events.onBody(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    if (isWhole && !isChunk) this.#finish(this.#stays);
    return end;
  }

  /** One line between chunks, or as much of it as has come. */
  #pushFraming(bytes: Buffer, from: number): number {
    let at = from;
    for (; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      switch (this.#state) {
        case 'size': {
          const value = hexValue(byte);
          if (value >= 0) {
            this.#missing = this.#missing * 16 + value;
            this.#hasDigits = true;
            if (this.#missing > largestChunk) throw new NotHttp('a chunk is too large');
          } else if (!this.#hasDigits) throw new NotHttp('a chunk has no size');
          else if (byte === carriageReturn) this.#state = 'size-end';
          else if (byte === semicolon) this.#state = 'extension';
          else throw new NotHttp('the size of a chunk is no number');
          break;
        }
        case 'extension':
          if (byte === lineFeed || ++this.#lineBytes > sizeLineLimitBytes)
            throw new NotHttp('a chunk has a bad extension');
          if (byte === carriageReturn) this.#state = 'size-end';
          break;
        case 'size-end':
          if (byte !== lineFeed) throw new NotHttp('the size of a chunk does not end');
          this.#state = this.#missing === 0 ? 'trailers' : 'chunk';
          return at + 1;
        case 'chunk-return':
          if (byte !== carriageReturn) throw new NotHttp('a chunk is longer than its size');
          this.#state = 'chunk-end';
          break;
        default:
          if (byte !== lineFeed) throw new NotHttp('a chunk is longer than its size');
          this.#beginChunk();
      }
    }
    return at;
  }

  #beginChunk(): void {
    this.#state = 'size';
    this.#missing = 0;
    this.#lineBytes = 0;
    this.#hasDigits = false;
  }

  /** A head or trailers, or as much of them as has come. */
  #pushHead(bytes: Buffer, at: number): number {
    const before = this.#held?.length ?? 0;
    const all = this.#held ? Buffer.concat([this.#held, bytes.subarray(at)]) : bytes;
    const start = this.#held ? 0 : at;
    // Without trailers the last line is the only one.
    const isEmpty = this.#state === 'trailers' && all[start] === carriageReturn && all[start + 1] === lineFeed;
    const end = isEmpty ? start : all.indexOf('\r\n\r\n', start, 'latin1');
    if ((end < 0 ? all.length : end) - start > headLimitBytes) throw new NotHttp('its headers are too long');
    if (end < 0) {
      // The bytes may be another's as soon as this call has ended.
      this.#held = this.#held ? all : Buffer.from(all.subarray(start));
      return bytes.length;
    }
    this.#held = undefined;
    const used = end + (isEmpty ? 2 : 4) - (before > 0 ? before : 0);
    if (this.#state === 'trailers') this.#finish(this.#stays);
    else this.#begin(all.toString('latin1', start, end));
    return used;
  }

  #begin(head: string): void {
    const lines = head.split('\r\n');
    const status = statusLine.exec(lines[0] as string);
    if (!status) throw new NotHttp('its first line is no status');
    const code = Number(status[2]);
    const headers = readHeaders(lines);
    if (code < 200) {
      if (code === 101) throw new NotHttp('it changes the protocol');
      return;
    }
    this.#stays = status[1] === '1' && !/(?:^|[,\s])close(?:$|[,\s])/.test(lower(headers.connection));
    const { 'content-length': length, 'transfer-encoding': coding } = headers;
    if (coding !== undefined) {
      if (lower(coding) !== 'chunked' || length !== undefined || status[1] === '0') {
        throw new NotHttp('the length of its answer is told in two ways');
      }
      this.#beginChunk();
    } else if (length !== undefined) {
      if (typeof length !== 'string' || !decimal.test(length))
        throw new NotHttp('the length of its answer is no number');
      this.#missing = Number(length);
      this.#state = 'length';
    } else this.#state = 'close';
    const isBare = code === 204 || code === 304 || (this.#state === 'length' && this.#missing === 0);
    if (isBare) this.#state = 'head';
    this.#events.onHead(code, headers);
    if (isBare) this.#events.onEnd(this.#stays);
  }
}

const readHeaders = (lines: readonly string[]): IncomingHttpHeaders => {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index] as string;
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (!token.test(name) || !fieldValue.test(value)) throw new NotHttp('one of its headers is none');
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else headers[name] = [known, value].flat();
  }
  return headers;
};
