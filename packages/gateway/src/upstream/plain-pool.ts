import type { Dispatcher } from 'undici';
import { PlainConnection, type PlainRequest } from './plain-connection.js';

/** Pause between two looks for connections that have been idle for too long. */
const sweepMs = 1000;
const scratchBytes = 64 << 10;

/**
 * Connections to servers without TLS, as many as there are requests at once; the one that was used last is used next. Owner: the
 * dispatcher of the fleet.
 */
export class PlainPool {
  readonly #connectTimeoutMs: number;
  readonly #idle = new Map<string, PlainConnection[]>();
  readonly #all = new Set<PlainConnection>();
  readonly #scratch = Buffer.allocUnsafeSlow(scratchBytes);
  #sweep: NodeJS.Timeout | undefined;

  constructor(connectTimeoutMs: number) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  send(origin: string, request: PlainRequest, handler: Dispatcher.DispatchHandler): void {
    this.#take(origin).send(request, handler);
  }

  #take(origin: string): PlainConnection {
    let idle = this.#idle.get(origin);
    if (!idle) {
      idle = [];
      this.#idle.set(origin, idle);
    }
    const nowMs = performance.now();
    for (let last = idle.pop(); last; last = idle.pop()) {
      if (last.idleUntilMs > nowMs) return last;
      last.close();
    }
    return this.#open(origin, idle);
  }

  #open(origin: string, idle: PlainConnection[]): PlainConnection {
    const connection = new PlainConnection({
      url: new URL(origin),
      connectTimeoutMs: this.#connectTimeoutMs,
      scratch: this.#scratch,
      onIdle: (each) => {
        idle.push(each);
        this.#sweep ??= setTimeout(() => this.#closeIdle(), sweepMs).unref();
      },
      onGone: (each) => {
        this.#all.delete(each);
        const at = idle.indexOf(each);
        if (at >= 0) idle.splice(at, 1);
      },
    });
    this.#all.add(connection);
    return connection;
  }

  #closeIdle(): void {
    this.#sweep = undefined;
    const nowMs = performance.now();
    for (const idle of this.#idle.values()) {
      for (const each of idle.filter(({ idleUntilMs }) => idleUntilMs <= nowMs)) each.close();
      if (idle.length > 0) this.#sweep ??= setTimeout(() => this.#closeIdle(), sweepMs).unref();
    }
  }

  /** Ends every connection, and the requests on them with this error. */
  close(error: Error): void {
    clearTimeout(this.#sweep);
    for (const each of [...this.#all]) each.fail(error);
  }
}
