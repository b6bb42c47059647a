/** Time as an argument: what waits or measures is given a clock, and a test gives it one that stands still. */
export interface Clock {
  /** Milliseconds that only ever grow; for durations and deadlines. */
  now(): number;
  /** Milliseconds since 1970; for people and the wire. */
  unixMs(): number;
  /** Calls `run` once after a delay, unless the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  unixMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
