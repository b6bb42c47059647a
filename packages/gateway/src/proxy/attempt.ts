import type { IncomingHttpHeaders } from 'node:http';
import { CortexError } from '@helexa/core';
import type { Dispatcher } from 'undici';
import type { NodeState } from '../fleet/fleet.js';
import { errorEvent } from '../http/respond.js';
import type { AnswerSink } from './answer-sink.js';
import { EventSplitter } from './event-splitter.js';
import { headersToClient } from './forwarded-headers.js';

/** An answer in one piece up to this size is held until it is whole, so that a neuron that dies inside it can be replaced. */
const mostHeldBytes = 1 << 20;
/** A single event longer than this is no event. */
const longestEventBytes = 32 << 20;

/** How one attempt at one node ended. */
export type AttemptResult =
  /** The client has an answer, whole or marked as cut. */
  | { readonly kind: 'answered'; readonly status: number; readonly error?: CortexError }
  /** Nothing reached the client: another node may be tried. */
  | {
      readonly kind: 'failed';
      readonly error: CortexError;
      readonly cause: unknown;
      /** The neuron is well, and answered that it has no room. */
      readonly isBusy?: boolean;
      /** The connection went before a byte of an answer: it may have been an old one. */
      readonly isSilent?: boolean;
    }
  /** The client left. */
  | { readonly kind: 'abandoned' };

export interface AttemptOptions {
  readonly dispatcher: Dispatcher;
  readonly node: NodeState;
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
  readonly body: Buffer;
  readonly response: AnswerSink;
  /** Ends the attempt: without a CortexError as its reason the client has left. */
  readonly signal: AbortSignal;
  /** Counts bytes and the first of them. */
  readonly onBytes: (count: number) => void;
  /** Sees what is sent on: whole events of a stream, or parts of an answer in one piece. */
  readonly observer?: { events(bytes: Buffer): void; part(bytes: Buffer): void };
  /** Asked when the neuron has no room for the request: true when another one could have. */
  readonly hasOther?: () => boolean;
}

/** A neuron that has no room for one more request says so with these. */
const busyStatuses = new Set([429, 503]);

const unreachable = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

const failure = (node: NodeState, cause: unknown): CortexError => {
  if (CortexError.isInstance(cause)) return cause;
  const code = (cause as { code?: unknown } | null)?.code;
  if (typeof code === 'string' && unreachable.has(code)) {
    return new CortexError('upstream_unreachable', { node: node.name }, { cause });
  }
  const isHttp = !(typeof code === 'string' && code.startsWith('HPE_'));
  const reason = isHttp ? 'it cut the connection before its answer was complete' : 'it does not speak HTTP';
  return new CortexError('upstream_failed', { node: node.name, reason }, { cause });
};

/** Relays one answer of one neuron to the client. */
class Relay implements Dispatcher.DispatchHandler {
  readonly #options: AttemptOptions;
  readonly #settle: (result: AttemptResult) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #splitter: EventSplitter | undefined;
  /** First part of an answer in one piece. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isOver = false;

  constructor(options: AttemptOptions, settle: (result: AttemptResult) => void) {
    this.#options = options;
    this.#settle = settle;
  }

  readonly #onAbort = (): void => {
    const { reason } = this.#options.signal;
    if (CortexError.isInstance(reason)) this.#fail(reason);
    else this.#finish({ kind: 'abandoned' });
    this.#controller?.abort(
      reason instanceof Error ? reason : new CortexError('request_cancelled', { reason: 'the client left' }),
    );
  };

  begin(): void {
    const { dispatcher, node, path, headers, body, signal } = this.#options;
    signal.addEventListener('abort', this.#onAbort, { once: true });
    // An answer may take as long as it takes; the poller ends attempts at a node that has stopped answering.
    dispatcher.dispatch(
      { origin: node.endpoint, path, method: 'POST', headers, body, headersTimeout: 0, bodyTimeout: 0 },
      this,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(new CortexError('request_cancelled', { reason: 'the client left' }));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    if (/^text\/event-stream\b/i.test(String(headers['content-type'] ?? ''))) this.#splitter = new EventSplitter();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return;
    this.#options.onBytes(chunk.length);
    if (this.#splitter) this.#relayEvents(controller, this.#splitter, chunk);
    else this.#relayPiece(controller, chunk);
  }

  #relayEvents(controller: Dispatcher.DispatchController, splitter: EventSplitter, chunk: Buffer): void {
    const events = splitter.push(chunk);
    if (events) {
      this.#options.observer?.events(events);
      this.#write(controller, events);
    } else if (splitter.heldBytes > longestEventBytes) {
      this.#fail(
        new CortexError('upstream_failed', {
          node: this.#options.node.name,
          reason: 'one event of its stream is too long',
        }),
      );
      controller.abort(
        new CortexError('upstream_failed', { node: this.#options.node.name, reason: 'one event is too long' }),
      );
    }
  }

  #relayPiece(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#options.observer?.part(chunk);
    if (this.#options.response.headersSent) {
      this.#write(controller, chunk);
      return;
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes > mostHeldBytes) this.#write(controller, Buffer.concat(this.#held));
  }

  /** Hands bytes on; stops reading from the neuron while the client does not take them. */
  #write(controller: Dispatcher.DispatchController, bytes: Buffer): void {
    const { response } = this.#options;
    if (!response.headersSent) this.#writeHead();
    if (response.write(bytes)) return;
    controller.pause();
    response.once('drain', () => controller.resume());
  }

  #writeHead(length?: number): void {
    const headers = headersToClient(this.#headers);
    if (this.#splitter) {
      delete headers['content-length'];
      headers['cache-control'] = 'no-cache, no-transform';
      headers['x-accel-buffering'] = 'no';
    } else if (length !== undefined) headers['content-length'] = String(length);
    this.#options.response.writeHead(this.#status, headers);
  }

  onResponseEnd(): void {
    if (this.#isOver) return;
    const { response, node } = this.#options;
    if (this.#splitter && this.#status === 200 && this.#splitter.ending === 'open') {
      this.#fail(
        new CortexError('stream_interrupted', { node: node.name, reason: 'the neuron ended it without an end mark' }),
      );
      return;
    }
    if (!response.headersSent && busyStatuses.has(this.#status) && this.#options.hasOther?.()) {
      const reason = `it has no room for the request (status ${this.#status})`;
      const error = new CortexError('upstream_failed', { node: node.name, reason });
      this.#finish({ kind: 'failed', error, cause: error, isBusy: true });
      return;
    }
    if (!response.headersSent) {
      this.#writeHead(this.#heldBytes);
      response.end(Buffer.concat(this.#held));
    } else response.end();
    this.#finish({ kind: 'answered', status: this.#status });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#isOver) return;
    const { response, node } = this.#options;
    if (response.headersSent) {
      this.#fail(
        new CortexError(
          'stream_interrupted',
          { node: node.name, reason: 'the neuron cut the connection' },
          { cause: error },
        ),
      );
    } else this.#fail(error);
  }

  /** Ends the attempt for a fault: silently while another node can still answer, visibly afterwards. */
  #fail(cause: unknown): void {
    const { response, node } = this.#options;
    const error = failure(node, cause);
    if (!response.headersSent) {
      const isSilent = this.#status === 0 && error.code === 'upstream_failed' && !CortexError.isInstance(cause);
      this.#finish({ kind: 'failed', error, cause, ...(isSilent ? { isSilent } : {}) });
      return;
    }
    if (this.#splitter) response.end(errorEvent(error));
    // Only a broken connection tells that an answer in one piece is not whole.
    else response.destroy();
    this.#finish({ kind: 'answered', status: this.#status, error });
  }

  #finish(result: AttemptResult): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#held = [];
    this.#settle(result);
  }
}

/** Sends a request to one neuron and relays what it answers, byte for byte. */
export const attempt = (options: AttemptOptions): Promise<AttemptResult> =>
  new Promise((resolve) => {
    if (options.signal.aborted) {
      const { reason } = options.signal;
      resolve(
        CortexError.isInstance(reason) ? { kind: 'failed', error: reason, cause: reason } : { kind: 'abandoned' },
      );
      return;
    }
    new Relay(options, resolve).begin();
  });
