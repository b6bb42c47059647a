/** Larger than the caches of one core's share, small enough to be there at once. */
const bufferBytes = 96 * 2 ** 20;
const rounds = 3;

/**
 * Bytes per second that one thread of this process moves: the best of a few copies of a buffer, reads and writes counted.
 * Several threads move more, so it bounds a forecast from below.
 */
export function measureBandwidth(now: () => number): number {
  const from = Buffer.alloc(bufferBytes, 1);
  const to = Buffer.alloc(bufferBytes, 2);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const startedMs = now();
    from.copy(to);
    best = Math.min(best, now() - startedMs);
  }
  return (2 * bufferBytes * 1000) / Math.max(best, 1e-3);
}
