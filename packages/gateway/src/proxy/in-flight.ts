import { CortexError } from '@helexa/core';
import { Stop, type StopSignal } from './stop.js';

/** A neuron that has known nothing of a request for this long has lost it. */
export const lostAfterMs = 30_000;

interface Attempt {
  readonly stop: Stop;
  /** Absent for what a neuron does not count, because it takes no time. */
  readonly model: string | undefined;
  /** Since when the neuron says that it does nothing for this model; of what it does not count, since it was asked. */
  idleSinceMs: number | undefined;
}

/** An attempt that counts as running until it is ended. */
export interface RunningAttempt {
  readonly signal: StopSignal;
  end(): void;
}

/** The attempts that run at each node: how many, and how to end them when the node goes down or has lost them. */
export class InFlight {
  readonly #byNode = new Map<string, Set<Attempt>>();

  count(node: string): number {
    return this.#byNode.get(node)?.size ?? 0;
  }

  /** Begins an attempt at a node; its signal is aborted by the caller's, or when the node goes down. */
  begin(node: string, model: string | undefined, outer: StopSignal): RunningAttempt {
    const mine: Attempt = { stop: new Stop(), model, idleSinceMs: undefined };
    const attempts = this.#byNode.get(node) ?? new Set();
    this.#byNode.set(node, attempts);
    attempts.add(mine);
    const onOuter = (): void => mine.stop.abort(outer.reason);
    if (outer.aborted) onOuter();
    else outer.addEventListener('abort', onOuter, { once: true });
    return {
      signal: mine.stop,
      end: () => {
        outer.removeEventListener('abort', onOuter);
        attempts.delete(mine);
      },
    };
  }

  /** Ends the attempts at a node that has stopped answering. */
  abandon(node: string): void {
    this.#stop(node, [...(this.#byNode.get(node) ?? [])], 'it has stopped answering');
  }

  /**
   * Compares with what a node says that it does: a request that was lost on its way there, or that its process has forgotten, would
   * be waited for without end. `busy` counts what runs or waits for a model there; undefined when the node does not say.
   */
  reconcile(node: string, busy: (model: string) => number | undefined, nowMs: number): void {
    const lost: Attempt[] = [];
    for (const attempt of this.#byNode.get(node) ?? []) {
      const isIdle = attempt.model === undefined || busy(attempt.model) === 0;
      attempt.idleSinceMs = isIdle ? (attempt.idleSinceMs ?? nowMs) : undefined;
      if (attempt.idleSinceMs !== undefined && nowMs - attempt.idleSinceMs >= lostAfterMs) lost.push(attempt);
    }
    this.#stop(node, lost, 'it knows nothing of the request any more');
  }

  #stop(node: string, attempts: readonly Attempt[], reason: string): void {
    for (const { stop } of attempts) stop.abort(new CortexError('upstream_failed', { node, reason }));
  }
}
