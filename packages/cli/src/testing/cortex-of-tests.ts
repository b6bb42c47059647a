import type { TestFn } from 'ava';
import { type RunningCortex, startCortex } from './cortex-process.js';

/** One `cortex up` on the built-in model for the tests of a file; that it ends cleanly after them is checked too. */
export function cortexOfTests(test: TestFn): () => RunningCortex {
  let running: RunningCortex | undefined;
  test.before('cortex up starts', async () => {
    running = await startCortex([]);
  });
  test.after.always('cortex up ends cleanly on SIGTERM', async (t) => {
    if (!running) return;
    const end = await running.stop();
    t.is(end.code, 0, end.stderr);
  });
  return () => running!;
}
