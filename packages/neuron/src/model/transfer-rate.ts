/** Bytes that had come at a moment. */
interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

const windowMs = 10_000;
/** Samples closer than this are one: a window holds about a hundred. */
const spacingMs = 100;

/** How fast something comes, over the last seconds; time is an argument. */
export class TransferRate {
  #samples: Sample[] = [];

  /** Notes how much is here now; less than before means that it began anew. */
  add(atMs: number, bytes: number): void {
    const last = this.#samples.at(-1);
    if (last && bytes < last.bytes) this.#samples = [];
    const before = this.#samples.at(-2);
    if (last && before && last.atMs - before.atMs < spacingMs) this.#samples.pop();
    this.#samples.push({ atMs, bytes });
    while (this.#samples.length > 2 && atMs - this.#samples[1]!.atMs >= windowMs) this.#samples.shift();
  }

  /** Bytes per second; null while nothing can be said. */
  perSecond(nowMs: number): number | null {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.bytes === first.bytes || nowMs <= first.atMs) return null;
    return ((last.bytes - first.bytes) * 1000) / (nowMs - first.atMs);
  }
}
