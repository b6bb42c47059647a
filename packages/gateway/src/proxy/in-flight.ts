import { CortexError } from '@helexa/core';

/** The attempts that run at each node: how many, and how to end them when the node goes down. */
export class InFlight {
  readonly #byNode = new Map<string, Set<AbortController>>();

  count(node: string): number {
    return this.#byNode.get(node)?.size ?? 0;
  }

  /** Runs one attempt at a node; its signal is aborted by the caller's, or when the node goes down. */
  async during<Result>(
    node: string,
    outer: AbortSignal,
    run: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const mine = new AbortController();
    const attempts = this.#byNode.get(node) ?? new Set();
    this.#byNode.set(node, attempts);
    attempts.add(mine);
    try {
      return await run(AbortSignal.any([outer, mine.signal]));
    } finally {
      attempts.delete(mine);
    }
  }

  /** Ends the attempts at a node that has stopped answering. */
  abandon(node: string): void {
    for (const attempt of this.#byNode.get(node) ?? []) {
      attempt.abort(new CortexError('upstream_failed', { node, reason: 'it has stopped answering' }));
    }
  }
}
