import type { Flight, Sequence } from './flight.js';
import { MovingAverage } from './moving-average.js';

/** Tokens per second; null before the first measurement. */
export interface SpeedReport {
  readonly prefillTokensPerSecond: number | null;
  readonly decodeTokensPerSecond: number | null;
}

/** Weight of one request in the averages. */
const weight = 0.3;
/** Prompt tokens below which a computation says little about speed. */
const leastPrompt = 128;

/** How fast this machine computes prompts, whatever else is in their steps, and how fast one answer comes. */
export class MeasuredSpeed {
  readonly #prefill = new MovingAverage(weight);
  readonly #decode = new MovingAverage(weight);

  get report(): SpeedReport {
    return { prefillTokensPerSecond: this.#prefill.value, decodeTokensPerSecond: this.#decode.value };
  }

  /** A step of so many rows computed some of a sequence's prompt; what was found in the cache does not count. */
  prefillStep({ prefill, place, flight }: Sequence, isLast: boolean, rows: number, deviceNs: number): void {
    prefill.rows += rows;
    prefill.deviceNs += deviceNs;
    const computed = flight.givenTokens - (place?.lease.reusedTokens ?? 0);
    if (isLast && computed >= leastPrompt && prefill.deviceNs > 0)
      this.#prefill.add(prefill.rows / (prefill.deviceNs / 1e9));
  }

  /** A choice has ended; with the last one of a request its speed is known. */
  choiceEnd({ totals, sequences }: Flight): void {
    if (!totals) return;
    const afterFirst = totals.usage.completionTokens - sequences.length;
    const { decodeMs } = totals.timing;
    if (afterFirst > 0 && decodeMs > 0) this.#decode.add(afterFirst / sequences.length / (decodeMs / 1000));
  }
}
