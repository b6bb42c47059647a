import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, CortexError } from '@helexa/core';

/** Time, randomness and the turn of the event loop, as arguments. */
export interface EngineEffects {
  nowMs(): number;
  /** Calls `run` once after a delay, unless the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void;
  randomSeed(): bigint;
  /** Lets the rest of the process run between two steps. */
  yieldTurn(): Promise<void>;
  /** After every step: what it did, for metrics. */
  onStep(step: StepSummary): void;
  /** Once, when the device failed: nothing runs after it. */
  onFailed(error: CortexError): void;
}

export interface StepSummary {
  readonly rows: number;
  readonly sampled: number;
  readonly deviceNs: number;
}

/** The engine's effects on this machine: its clock, its randomness, its event loop. */
export function systemEffects(clock: Clock, hooks: Pick<EngineEffects, 'onStep' | 'onFailed'>): EngineEffects {
  return {
    nowMs: () => clock.now(),
    after: (delayMs, run) => clock.after(delayMs, run),
    randomSeed: () => randomBytes(8).readBigUInt64LE(),
    yieldTurn: () => nextTurn(),
    ...hooks,
  };
}
