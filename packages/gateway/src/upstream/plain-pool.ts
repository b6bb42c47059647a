import type { Dispatcher } from 'undici';
import { PlainConnection, type PlainConnectionOptions, type PlainRequest } from './plain-connection.js';

/** Pause between two looks for connections that have been idle for too long. */
const sweepMs = 1000;
const scratchBytes = 64 << 10;

/** One server: what all connections to it share, and those that wait for a request. */
interface Origin {
  readonly idle: PlainConnection[];
  readonly options: PlainConnectionOptions;
}

/**
 * Connections to servers without TLS, as many as there are requests at once; the one that was used last is used next. Owner: the
 * dispatcher of the fleet.
 */
export class PlainPool {
  readonly #connectTimeoutMs: number;
  readonly #origins = new Map<string, Origin>();
  readonly #all = new Set<PlainConnection>();
  readonly #scratch = Buffer.allocUnsafeSlow(scratchBytes);
  #sweep: NodeJS.Timeout | undefined;

  constructor(connectTimeoutMs: number) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  send(origin: string, request: PlainRequest, handler: Dispatcher.DispatchHandler): void {
    this.#take(origin).send(request, handler);
  }

  #take(name: string): PlainConnection {
    const { idle, options } = this.#origin(name);
    const nowMs = performance.now();
    for (let last = idle.pop(); last; last = idle.pop()) {
      if (last.idleUntilMs > nowMs) return last;
      last.close();
    }
    const connection = new PlainConnection(options);
    this.#all.add(connection);
    return connection;
  }

  #origin(name: string): Origin {
    let origin = this.#origins.get(name);
    if (!origin) {
      const idle: PlainConnection[] = [];
      const options: PlainConnectionOptions = {
        url: new URL(name),
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
      };
      origin = { idle, options };
      this.#origins.set(name, origin);
    }
    return origin;
  }

  #closeIdle(): void {
    this.#sweep = undefined;
    const nowMs = performance.now();
    for (const { idle } of this.#origins.values()) {
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
