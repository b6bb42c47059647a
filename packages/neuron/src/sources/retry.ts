import type { Clock } from '@helexa/core';

/** A failure that may pass by itself. */
export interface Passing {
  readonly error: unknown;
  /** What the other side asked for. */
  readonly retryAfterMs?: number | undefined;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;
const longestAskedMs = 120_000;

/** Pause before attempt `attempt` (1 is the first repeat): doubling, spread by `random` in [0, 1), or as the other side asked. */
export function pauseMs(attempt: number, random: number, retryAfterMs?: number): number {
  if (retryAfterMs !== undefined) return Math.min(retryAfterMs, longestAskedMs);
  return Math.min(firstPauseMs * 2 ** (attempt - 1), longestPauseMs) * (0.5 + random / 2);
}

/** Milliseconds of a `Retry-After` header: seconds or a date; undefined when it is neither. */
export function parseRetryAfter(value: string | undefined, unixMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - unixMs);
}

/** Waits; a signal ends the wait by rejecting with its reason. */
export async function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    });
    signal?.addEventListener('abort', stop, { once: true });
  });
}
