import type { Clock } from '@helexa/core';
import type { Look, NodeState } from './fleet.js';
import { isOutOfFiles } from './out-of-files.js';

/** The one effect of the poller: it may reject, and stops when the signal says so. */
export type LookAt = (node: NodeState, signal: AbortSignal) => Promise<Look>;

export interface PollerOptions {
  readonly names: readonly string[];
  /** The state of a node at this moment. */
  readonly stateOf: (name: string) => NodeState;
  readonly lookAt: LookAt;
  readonly onLook: (name: string, look: Look) => void;
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

interface Watch {
  /** The look under way: there is never a second one at the same node. */
  running: Promise<boolean> | undefined;
  cancelNext: (() => void) | undefined;
  cancelLook: (() => void) | undefined;
}

/** Looks at every node again and again, each at its own pace: one that never answers delays nobody. */
export class Poller {
  readonly #options: PollerOptions;
  readonly #watches = new Map<string, Watch>();
  #isClosed = false;

  constructor(options: PollerOptions) {
    this.#options = options;
  }

  /** Begins; settles when every node was looked at once. */
  async start(): Promise<void> {
    for (const name of this.#options.names)
      this.#watches.set(name, { running: undefined, cancelNext: undefined, cancelLook: undefined });
    await Promise.all(this.#options.names.map((name) => this.lookNow(name)));
  }

  /** Looks at a node at once; joins the look that is under way, if there is one. True when it answered. */
  lookNow(name: string): Promise<boolean> {
    const watch = this.#watches.get(name);
    if (!watch || this.#isClosed) return Promise.resolve(false);
    if (watch.running) return watch.running;
    watch.cancelNext?.();
    watch.cancelNext = undefined;
    watch.running = this.#look(name, watch).finally(() => {
      watch.running = undefined;
      if (this.#isClosed) return;
      watch.cancelNext = this.#options.clock.after(this.#options.intervalMs, () => void this.lookNow(name));
    });
    return watch.running;
  }

  /** Looks at a node with a look that begins after this call. */
  async lookFresh(name: string): Promise<boolean> {
    await this.#watches.get(name)?.running;
    return await this.lookNow(name);
  }

  async #look(name: string, watch: Watch): Promise<boolean> {
    const { clock, timeoutMs, stateOf, lookAt, onLook } = this.#options;
    const stop = new AbortController();
    let isLate = false;
    const cancelTimer = clock.after(timeoutMs, () => {
      isLate = true;
      stop.abort();
    });
    watch.cancelLook = () => stop.abort();
    const look = await lookAt(stateOf(name), stop.signal).catch((error: unknown): Look | undefined =>
      // Of a neuron that this machine cannot ask nothing is known.
      isOutOfFiles(error)
        ? undefined
        : { ok: false, reason: isLate ? `it did not answer in ${timeoutMs} ms` : describe(error) },
    );
    cancelTimer();
    // One of its questions may have failed while another has no answer yet.
    stop.abort();
    if (!look || this.#isClosed) return false;
    onLook(name, look);
    return look.ok;
  }

  /** Stops; settles when no look is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watch of this.#watches.values()) {
      watch.cancelNext?.();
      watch.cancelLook?.();
    }
    await Promise.all([...this.#watches.values()].map(({ running }) => running));
  }
}

/** A cause without addresses: it is shown to clients. */
const describe = (error: unknown): string => {
  const code = (error as { code?: unknown } | null)?.code;
  if (code === 'ECONNREFUSED') return 'the connection was refused';
  return typeof code === 'string' ? `the connection failed (${code})` : 'the connection failed';
};
