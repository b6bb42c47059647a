import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { ReadTask } from './read-bandwidth.worker.js';

const worker = fileURLToPath(new URL('./read-bandwidth.worker.js', import.meta.url));

/**
 * Bytes per second that `threads` threads read together from a buffer far larger than any cache: the roof under which
 * decoding must stay. Best of `passes`; each thread reads its own part.
 */
export async function readBandwidth(threads: number, bytes = 1 << 29, passes = 3): Promise<number> {
  const share = Math.floor(bytes / threads / 64) * 64;
  const workers = Array.from({ length: threads }, () => new Worker(worker));
  try {
    const ask = (task: ReadTask) =>
      Promise.all(
        workers.map(
          (one) =>
            new Promise<{ begun: bigint; ended: bigint }>((resolve, reject) => {
              one.once('message', resolve);
              one.once('error', reject);
              one.postMessage(task);
            }),
        ),
      );
    await ask({ bytes: share, read: false });
    let best = 0;
    for (let pass = 0; pass < passes; pass++) {
      const times = await ask({ bytes: share, read: true });
      const begun = times.reduce((first, time) => (time.begun < first ? time.begun : first), times[0]!.begun);
      const ended = times.reduce((last, time) => (time.ended > last ? time.ended : last), times[0]!.ended);
      best = Math.max(best, (share * threads) / (Number(ended - begun) / 1e9));
    }
    return best;
  } finally {
    await Promise.all(workers.map((one) => one.terminate()));
  }
}
