import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type Clock, encodeSse, sseDone, sseHeaders } from '@helexa/core';

/** Longest silence on a stream: clients give up after about a second without a byte. */
const keepAliveMs = 1000;
/** Longest time that a client may leave its connection full: it holds a slot meanwhile. */
const stalledMs = 120_000;

/**
 * A response that streams events: each is written at once, none is dropped, and a comment line goes out in every idle second.
 *
 * Owner: its handler, which ends it by `finish`, `fail` or `abandon`.
 */
export class SseStream {
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #cancelTimer: () => void = () => {};

  constructor(
    response: ServerResponse,
    clock: Clock,
    signal: AbortSignal,
    headers: Readonly<Record<string, string>> = {},
  ) {
    this.#response = response;
    this.#clock = clock;
    this.#signal = signal;
    response.writeHead(200, { ...sseHeaders, ...headers });
    response.flushHeaders();
    response.socket?.setNoDelay(true);
    this.#rest();
  }

  /** Writes an event; settles when the client has taken enough of what was written before. */
  async send(data: unknown): Promise<void> {
    await this.#write(encodeSse(JSON.stringify(data)));
  }

  /** Writes frames as they are, in one piece. */
  async sendFrames(frames: string): Promise<void> {
    await this.#write(frames);
  }

  /** A proper end: only after this has a client the whole answer. */
  async finish(): Promise<void> {
    await this.#write(encodeSse(sseDone));
    this.abandon();
  }

  /** An end that no client can take for a proper one: the error as an event, and no end mark. */
  async fail(error: unknown): Promise<void> {
    await this.#write(encodeSse(JSON.stringify(error)));
    this.abandon();
  }

  /** Ends the response as it is. */
  abandon(): void {
    this.#cancelTimer();
    this.#response.end();
  }

  async #write(frame: string): Promise<void> {
    if (this.#signal.aborted || this.#response.destroyed) return;
    this.#rest();
    if (this.#response.write(frame)) return;
    const cancel = this.#clock.after(stalledMs, () => this.#response.destroy());
    try {
      await once(this.#response, 'drain', { signal: this.#signal });
    } catch (error) {
      // The client left while it was behind; the handler sees that on its own signal.
      if (!this.#signal.aborted) throw error;
    } finally {
      cancel();
    }
  }

  /** Starts the idle second anew. */
  #rest(): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(keepAliveMs, () => {
      if (this.#signal.aborted || this.#response.destroyed || this.#response.writableEnded) return;
      this.#response.write(': keep-alive\n\n');
      this.#rest();
    });
  }
}
