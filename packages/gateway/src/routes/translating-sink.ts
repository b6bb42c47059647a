import type { ServerResponse } from 'node:http';
import { type Clock, CortexError, SseDecoder, type SseEvent, sseHeaders, toOpenAiError } from '@helexa/core';
import { errorBodyIn, sendJson } from '../http/respond.js';
import type { AnswerSink } from '../proxy/answer-sink.js';
import type { Dialect } from '../translate/dialect.js';
import type { AnswerTranslator } from '../translate/stream-translator.js';

/** A client that hears nothing for longer begins to doubt. */
const silenceMs = 1000;

export interface TranslatingSinkOptions {
  readonly response: ServerResponse;
  readonly translator: AnswerTranslator;
  readonly dialect: Dialect;
  readonly requestId: string;
  readonly node: string;
  readonly clock: Clock;
}

/**
 * Says the answer of one attempt in its caller's dialect on its way to the client. Owner: the route, which closes it when the
 * attempt is over.
 */
export class TranslatingSink implements AnswerSink {
  readonly #options: TranslatingSinkOptions;
  readonly #decoder = new SseDecoder();
  #head: { readonly status: number; readonly headers: Record<string, string | string[]> } | undefined;
  #isStream = false;
  #pieces: Buffer[] = [];
  #cancelSilence: (() => void) | undefined;

  constructor(options: TranslatingSinkOptions) {
    this.#options = options;
  }

  get headersSent(): boolean {
    // An answer in one piece that has begun to come counts as sent: what is held of it would be lost on another node.
    return this.#head !== undefined || this.#options.response.headersSent;
  }

  writeHead(status: number, headers: Record<string, string | string[]>): void {
    this.#head = { status, headers };
    this.#isStream = status === 200 && /^text\/event-stream\b/i.test(String(headers['content-type'] ?? ''));
    if (!this.#isStream) return;
    this.#options.response.writeHead(status, { ...headers, ...sseHeaders });
    this.#options.response.flushHeaders();
    this.#watchSilence();
  }

  write(bytes: Buffer): boolean {
    if (this.#isStream) return this.#send(this.#translate(bytes));
    this.#pieces.push(bytes);
    return true;
  }

  once(event: 'drain', listener: () => void): void {
    this.#options.response.once(event, listener);
  }

  end(bytes?: Buffer | string): void {
    const { response, translator } = this.#options;
    if (this.#isStream) {
      const text = bytes === undefined ? '' : this.#translate(bytes);
      const rest = this.#said(this.#decoder.end());
      this.close();
      response.end(text + rest + translator.end());
      return;
    }
    if (bytes !== undefined) this.#pieces.push(Buffer.from(bytes as Buffer));
    this.#endWhole(Buffer.concat(this.#pieces));
  }

  destroy(): void {
    this.close();
    this.#options.response.destroy();
  }

  /** Stops to watch for silence. */
  close(): void {
    this.#cancelSilence?.();
    this.#cancelSilence = undefined;
  }

  #translate(bytes: Buffer | string): string {
    return this.#said(this.#decoder.push(bytes));
  }

  #said(events: readonly SseEvent[]): string {
    return events.map(({ data }) => this.#options.translator.event(data)).join('');
  }

  #send(text: string): boolean {
    const { response } = this.#options;
    if (text === '') return !response.writableNeedDrain;
    this.#watchSilence();
    return response.write(text);
  }

  #watchSilence(): void {
    const { clock, response, translator } = this.#options;
    this.close();
    this.#cancelSilence = clock.after(silenceMs, () => {
      if (response.destroyed || response.writableEnded || translator.isOver) return;
      // A client that does not read is not silent for want of bytes.
      if (!response.writableNeedDrain) response.write(translator.silence());
      this.#watchSilence();
    });
  }

  #endWhole(bytes: Buffer): void {
    const { response, translator, dialect, requestId, node } = this.#options;
    const { status, headers } = this.#head ?? { status: 200, headers: {} };
    const { 'content-length': _length, 'content-type': _type, ...kept } = headers as Record<string, string>;
    let body: unknown;
    try {
      body = JSON.parse(bytes.toString());
    } catch (error) {
      const failed = new CortexError('upstream_failed', { node, reason: 'its answer is not JSON' }, { cause: error });
      const wire = toOpenAiError(failed, 'gateway');
      const bad = status >= 400 ? status : wire.status;
      sendJson(response, bad, errorBodyIn(dialect, bad, wire.body, requestId), { ...kept, ...wire.headers });
      return;
    }
    if (status !== 200) {
      sendJson(response, status, errorBodyIn(dialect, status, body, requestId), kept);
      return;
    }
    const answer = translator.whole(body);
    if ('body' in answer) {
      sendJson(response, 200, answer.body, kept);
      return;
    }
    const { extra, ...fault } = answer.fault;
    sendJson(response, 502, errorBodyIn(dialect, 502, { error: { ...extra, ...fault } }, requestId), kept);
  }
}
