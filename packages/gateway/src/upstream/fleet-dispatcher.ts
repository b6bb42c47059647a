import { Dispatcher, errors } from 'undici';
import { PlainPool } from './plain-pool.js';

export interface FleetDispatcherOptions {
  readonly connectTimeoutMs: number;
  /** What becomes of a request on its way: tokens, paths. */
  readonly rewrite?: (options: Dispatcher.DispatchOptions) => Dispatcher.DispatchOptions;
}

/**
 * The way to the fleet: what a relay sends goes on a plain connection where there is one, everything else (TLS, what is not in
 * memory, what has a time limit) through another dispatcher. Owner: the gateway.
 */
export class FleetDispatcher extends Dispatcher {
  readonly #others: Dispatcher;
  readonly #pool: PlainPool;
  readonly #rewrite: FleetDispatcherOptions['rewrite'];
  #isClosed = false;

  constructor(others: Dispatcher, { connectTimeoutMs, rewrite }: FleetDispatcherOptions) {
    super();
    this.#others = others;
    this.#pool = new PlainPool(connectTimeoutMs);
    this.#rewrite = rewrite;
  }

  override dispatch(asked: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const options = this.#rewrite ? this.#rewrite(asked) : asked;
    const { origin, method, path, headers, body, headersTimeout, bodyTimeout } = options;
    const isPlain =
      method === 'POST' &&
      headersTimeout === 0 &&
      bodyTimeout === 0 &&
      typeof origin === 'string' &&
      origin.startsWith('http:') &&
      Buffer.isBuffer(body) &&
      !this.#isClosed;
    if (!isPlain) return this.#others.dispatch(options, handler);
    this.#pool.send(origin, { path, headers: headers as Record<string, string | string[]>, body }, handler);
    return true;
  }

  override close(callback?: () => void): Promise<void> {
    const closed = this.#end(new errors.ClientClosedError()).then(() => this.#others.close());
    return callback ? closed.then(callback) : closed;
  }

  override destroy(...given: unknown[]): Promise<void> {
    const error = given.find((each) => each instanceof Error) as Error | undefined;
    const callback = given.find((each) => typeof each === 'function') as (() => void) | undefined;
    const ended = this.#end(error ?? new errors.ClientDestroyedError()).then(() => this.#others.destroy(error ?? null));
    return callback ? ended.then(callback) : ended;
  }

  async #end(error: Error): Promise<void> {
    this.#isClosed = true;
    this.#pool.close(error);
  }
}
