import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, CortexError } from '@helexa/core';
import type { RejectionReason } from './rejection.js';

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
  /** A request has its first seat. */
  onAdmitted(request: AdmittedRequest): void;
  /** A request was turned away. */
  onRejected(reason: RejectionReason): void;
  /** Once, when the device failed: nothing runs after it. */
  onFailed(error: CortexError): void;
}

export interface StepSummary {
  readonly rows: number;
  /** Sequences that had rows in it. */
  readonly sequences: number;
  readonly sampled: number;
  readonly deviceNs: number;
  /** Of every token but the first of its sequence: milliseconds since the one before. */
  readonly tokenGapsMs: readonly number[];
}

export interface AdmittedRequest {
  readonly queueMs: number;
  readonly promptTokens: number;
  /** Of those, found in the cache. */
  readonly cachedTokens: number;
}

/** Who measures an engine. */
export type EngineObserver = Pick<EngineEffects, 'onStep' | 'onAdmitted' | 'onRejected'>;

/** The engine's effects on this machine: its clock, its randomness, its event loop. */
export function systemEffects(
  clock: Clock,
  hooks: Partial<EngineObserver> & Pick<EngineEffects, 'onFailed'>,
): EngineEffects {
  return {
    onStep: () => {},
    onAdmitted: () => {},
    onRejected: () => {},
    nowMs: () => clock.now(),
    after: (delayMs, run) => clock.after(delayMs, run),
    randomSeed: () => randomBytes(8).readBigUInt64LE(),
    yieldTurn: () => nextTurn(),
    ...hooks,
  };
}
