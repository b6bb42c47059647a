import type { IncomingHttpHeaders } from 'node:http';
import {
  CheckpointFilter,
  type Clock,
  CortexError,
  checkpointHeader,
  type StreamResume,
  withResume,
} from '@helexa/core';
import type { Dispatcher } from 'undici';
import type { NodeState } from '../fleet/fleet.js';
import { isOutOfFiles } from '../fleet/out-of-files.js';
import { errorEvent } from '../http/respond.js';
import type { AnswerSink } from './answer-sink.js';
import { EventSplitter } from './event-splitter.js';
import { headersToClient } from './forwarded-headers.js';
import type { StopSignal } from './stop.js';

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
  /** The client has the beginning of a stream, up to a checkpoint: another node may go on with it. */
  | {
      readonly kind: 'cut';
      readonly error: CortexError;
      readonly resume: StreamResume;
      /** What the stream ends with when no node does. */
      readonly farewell: Buffer | string;
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
  readonly signal: StopSignal;
  /** Counts bytes and the first of them. */
  readonly onBytes: (count: number) => void;
  /** Sees what is sent on: whole events of a stream, or parts of an answer in one piece. */
  readonly observer?: { events(bytes: Buffer): void; part(bytes: Buffer): void };
  /** A stream that other nodes have begun: this one is to go on with it. */
  readonly resume?: StreamResume | undefined;
  readonly clock: Clock;
  /** A stream that has begun and then sends nothing for this long, not even a comment, has died. */
  readonly silenceMs: number;
  /** What the client is told about where the time went; asked when its headers are written. */
  readonly timing?: (() => string) | undefined;
  /** Called when the neuron has begun to answer. */
  readonly onHead?: () => void;
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
  if (isOutOfFiles(cause)) {
    const reason = 'the gateway has no file left for a connection to it';
    return new CortexError('upstream_failed', { node: node.name, reason }, { cause });
  }
  const isHttp = !(typeof code === 'string' && code.startsWith('HPE_'));
  const reason = isHttp ? 'it cut the connection before its answer was complete' : 'it does not speak HTTP';
  return new CortexError('upstream_failed', { node: node.name, reason }, { cause });
};

const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Why an answer in one piece with status 200 is none; only its ends are looked at. */
const problemOfAnswer = (headers: IncomingHttpHeaders, answer: Buffer): string | undefined => {
  if (!/\bjson\b/i.test(String(headers['content-type'] ?? ''))) return undefined;
  if (/^\s*\{\s*"error"\s*:\s*[{"]/.test(answer.toString('latin1', 0, 64)))
    return 'it answered with an error under status 200';
  let end = answer.length - 1;
  while (end > 0 && (answer[end] as number) <= 0x20) end -= 1;
  const isWhole = answer[0] === openBrace && answer[end] === closeBrace;
  return isWhole ? undefined : 'its answer is not a JSON object';
};

const noHeaders: IncomingHttpHeaders = {};

/** Relays one answer of one neuron to the client. */
class Relay implements Dispatcher.DispatchHandler {
  readonly #options: AttemptOptions;
  readonly #settle: (result: AttemptResult) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers = noHeaders;
  #splitter: EventSplitter | undefined;
  /** First part of an answer in one piece. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isOver = false;
  #filter: CheckpointFilter | undefined;
  #isPaused = false;
  #heardMs = 0;
  #cancelSilence: () => void = () => {};

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
    const { dispatcher, node, path, headers, signal, resume } = this.#options;
    const body = resume ? withResume(this.#options.body, resume) : this.#options.body;
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

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.#options.onHead?.();
    this.#status = status;
    this.#headers = headers;
    const { resume, node } = this.#options;
    const isStream = /^text\/event-stream\b/i.test(String(headers['content-type'] ?? ''));
    const isResumed = isStream && status === 200 && headers[checkpointHeader] === 'resume';
    if (resume && !isResumed) {
      const reason = `it did not go on with the stream (status ${status})`;
      this.#stop(controller, new CortexError('upstream_failed', { node: node.name, reason }));
      return;
    }
    if (!isStream) return;
    this.#splitter = new EventSplitter();
    if (headers[checkpointHeader] !== undefined) this.#filter = new CheckpointFilter(resume);
    this.#heardMs = this.#options.clock.now();
    this.#watchSilence(this.#options.silenceMs);
  }

  /** Ends a stream that says nothing more; one whose client does not read is not silent. */
  #watchSilence(delayMs: number): void {
    const { clock, silenceMs, node } = this.#options;
    this.#cancelSilence = clock.after(delayMs, () => {
      if (this.#isPaused) this.#heardMs = clock.now();
      const restMs = this.#heardMs + silenceMs - clock.now();
      if (restMs > 0) this.#watchSilence(restMs);
      else {
        const reason = `it sent nothing for ${silenceMs} ms`;
        const error = new CortexError('stream_interrupted', { node: node.name, reason });
        if (this.#controller) this.#stop(this.#controller, error);
      }
    });
  }

  /** Ends the attempt and tells the neuron so. */
  #stop(controller: Dispatcher.DispatchController, error: CortexError): void {
    this.#fail(error);
    controller.abort(error);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return;
    this.#heardMs = this.#options.clock.now();
    this.#options.onBytes(chunk.length);
    if (this.#splitter) this.#relayEvents(controller, this.#splitter, chunk);
    else this.#relayPiece(controller, chunk);
  }

  #relayEvents(controller: Dispatcher.DispatchController, splitter: EventSplitter, chunk: Buffer): void {
    const whole = splitter.push(chunk);
    if (splitter.isBroken) {
      const reason = 'an event of its stream is not JSON';
      this.#stop(controller, new CortexError('stream_interrupted', { node: this.#options.node.name, reason }));
      return;
    }
    if (whole) {
      const events = this.#filter ? this.#filter.push(whole) : whole;
      if (events) this.#release(controller, events);
    }
    if (splitter.heldBytes + (this.#filter?.heldBytes ?? 0) > longestEventBytes) {
      const reason = 'one event of its stream is too long';
      this.#stop(controller, new CortexError('upstream_failed', { node: this.#options.node.name, reason }));
    }
  }

  #release(controller: Dispatcher.DispatchController, events: Buffer): void {
    this.#options.observer?.events(events);
    this.#write(controller, events);
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
    this.#isPaused = true;
    controller.pause();
    response.once('drain', () => {
      this.#isPaused = false;
      controller.resume();
    });
  }

  #writeHead(length?: number): void {
    const headers = headersToClient(this.#headers);
    if (this.#splitter) {
      delete headers['content-length'];
      headers['cache-control'] = 'no-cache, no-transform';
      headers['x-accel-buffering'] = 'no';
    } else if (length !== undefined) headers['content-length'] = String(length);
    const timing = this.#options.timing?.();
    if (timing) headers['server-timing'] = [timing, headers['server-timing'] ?? []].flat().join(', ');
    this.#options.response.writeHead(this.#status, headers);
    // A stream may be open for hours; an answer in one piece is asked for its type once more.
    if (this.#splitter) this.#headers = noHeaders;
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#isOver) return;
    const { response, node } = this.#options;
    if (this.#filter && this.#endsWithFault(this.#filter)) return;
    if (this.#splitter && this.#status === 200 && this.#splitter.ending === 'open') {
      this.#fail(
        new CortexError('stream_interrupted', { node: node.name, reason: 'the neuron ended it without an end mark' }),
      );
      return;
    }
    const rest = this.#filter?.rest();
    if (rest?.length) this.#release(controller, rest);
    if (!response.headersSent && !this.#splitter && this.#status === 200) {
      const problem = problemOfAnswer(this.#headers, Buffer.concat(this.#held));
      if (problem !== undefined) {
        this.#fail(new CortexError('upstream_failed', { node: node.name, reason: problem }));
        return;
      }
    }
    if (!response.headersSent && busyStatuses.has(this.#status) && this.#options.hasOther?.()) {
      const reason = `it has no room for the request (status ${this.#status})`;
      const error = new CortexError('upstream_failed', { node: node.name, reason });
      this.#finish({ kind: 'failed', error, cause: error, isBusy: true });
      return;
    }
    if (!response.headersSent) {
      this.#writeHead(this.#heldBytes);
      response.end(this.#held.length === 1 ? this.#held[0] : Buffer.concat(this.#held));
    } else response.end();
    this.#finish({ kind: 'answered', status: this.#status });
  }

  /** A neuron that tells of its own end, in a stream that can go on elsewhere. */
  #endsWithFault(filter: CheckpointFilter): boolean {
    if (this.#splitter?.ending !== 'error' || !filter.resume) return false;
    const farewell = filter.rest();
    const isOfRequest = farewell.includes('"type":"invalid_request_error"');
    const { node } = this.#options;
    const reason = 'the neuron ended it with an error';
    const error = new CortexError('stream_interrupted', { node: node.name, reason });
    if (isOfRequest) this.#options.response.end(farewell);
    this.#finish(
      isOfRequest
        ? { kind: 'answered', status: this.#status, error }
        : { kind: 'cut', error, resume: filter.resume, farewell },
    );
    return true;
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
    const resume = this.#filter ? this.#filter.resume : this.#options.resume;
    if (resume) {
      this.#finish({ kind: 'cut', error, resume, farewell: errorEvent(error) });
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
    this.#cancelSilence();
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
