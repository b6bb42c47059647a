/** How often something may be started again. */
export interface RestartLimits {
  readonly restarts: number;
  readonly windowMs: number;
}

/** Restarts of the last while, by what was restarted: a fault that comes back at once must become visible, not flap. */
export class RestartBudget {
  readonly limits: RestartLimits;
  readonly #taken = new Map<string, number[]>();

  constructor(limits: RestartLimits = { restarts: 3, windowMs: 600_000 }) {
    this.limits = limits;
  }

  /** Takes one restart; false when there were too many of late. */
  take(key: string, nowMs: number): boolean {
    const recent = this.#recent(key, nowMs);
    if (recent.length >= this.limits.restarts) return false;
    this.#taken.set(key, [...recent, nowMs]);
    return true;
  }

  /** Restarts within the window. */
  count(key: string, nowMs: number): number {
    return this.#recent(key, nowMs).length;
  }

  /** An operator has acted: counting begins anew. */
  forget(key: string): void {
    this.#taken.delete(key);
  }

  #recent(key: string, nowMs: number): number[] {
    return (this.#taken.get(key) ?? []).filter((atMs) => nowMs - atMs < this.limits.windowMs);
  }
}
