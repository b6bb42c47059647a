import type { Clock } from '@helexa/core';

/** Longest time that freeing one model may take: a wedged device must hold up neither a caller nor the end of the process. */
export const freeMs = 20_000;

/** What a promise gives, or `late` when it has not settled in time; it goes on by itself then. */
export async function within<Result>(clock: Clock, timeoutMs: number, work: Promise<Result>): Promise<Result | 'late'> {
  let cancel = () => {};
  const late = new Promise<'late'>((resolve) => {
    cancel = clock.after(timeoutMs, () => resolve('late'));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
