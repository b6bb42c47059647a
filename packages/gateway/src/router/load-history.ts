/** How long a load takes is not known before the first one: a guess that is neither hopeful nor discouraging. */
const firstGuessMs = 30_000;
/** Weight of the newest load: disks warm up, and models move. */
const newestWeight = 0.5;

/** How long loads took, so that a promise to a waiting client is an honest one. */
export class LoadHistory {
  readonly #byModel = new Map<string, number>();
  #anyMs: number | undefined;

  add(model: string, ms: number): void {
    const blend = (old: number | undefined): number => (old === undefined ? ms : old + newestWeight * (ms - old));
    this.#byModel.set(model, blend(this.#byModel.get(model)));
    this.#anyMs = blend(this.#anyMs);
  }

  expectedMs(model: string): number {
    return this.#byModel.get(model) ?? this.#anyMs ?? firstGuessMs;
  }

  /** Time that a load still needs; one that is late already is expected to be late by as much again as a quarter. */
  remainingMs(model: string, elapsedMs: number): number {
    return Math.max(1000, this.expectedMs(model) - elapsedMs, elapsedMs > this.expectedMs(model) ? elapsedMs / 4 : 0);
  }
}
