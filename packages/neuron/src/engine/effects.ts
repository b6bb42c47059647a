import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '@helexa/core';
import type { EngineEffects } from './engine.js';

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
