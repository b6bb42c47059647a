import type { Clock } from '../time/clock.js';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Lets everything that is ready run: several turns of the event loop, no time. */
export const settle = async (turns = 4): Promise<void> => {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
};

/** A clock that stands still until a test advances it. */
export class FakeClock implements Clock {
  #now = 0;
  #unixAtStart: number;
  readonly #turns: number | undefined;
  readonly #timers = new Set<Timer>();

  /** `turns` of the event loop pass before each timer: one is enough where nothing touches the machine. */
  constructor(unixMs = 1_700_000_000_000, turns?: number) {
    this.#unixAtStart = unixMs;
    this.#turns = turns;
  }

  now(): number {
    return this.#now;
  }

  unixMs(): number {
    return this.#unixAtStart + this.#now;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that have not run. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Sets the time of people forward or back, as a correction does; the one for durations goes on as it was. */
  correct(byMs: number): void {
    this.#unixAtStart += byMs;
  }

  /** Lets time pass while nothing runs, as when the machine is busy with something else: what fell due runs late. */
  async stall(forMs: number): Promise<void> {
    this.#now += forMs;
    await this.advance(0);
  }

  /** Moves time on, and runs what falls due in the order of its time. */
  async advance(byMs: number): Promise<void> {
    // What was just begun may still be about to set its timers.
    await settle(this.#turns);
    const until = this.#now + byMs;
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) if (timer.at <= until && (!next || timer.at < next.at)) next = timer;
      if (!next) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settle(this.#turns);
    }
    this.#now = until;
  }
}
