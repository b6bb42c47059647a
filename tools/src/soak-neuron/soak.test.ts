import test from 'ava';
import { fittedRise } from './linear-fit.js';
import { soak } from './soak.js';
import { SoakedNeuron } from './soaked-neuron.js';

test('fittedRise is the rise of the closest line', (t) => {
  t.is(fittedRise([3, 5, 7, 9]), 6);
  t.is(fittedRise([4, 4, 4]), 0);
  t.is(fittedRise([1, -1, 1, -1, 1]), 0);
  t.is(fittedRise([7]), 0);
});

test('soak leaves nothing behind: every request ends, and pages, seats and queue are as before', async (t) => {
  t.timeout(120_000);
  const neuron = await SoakedNeuron.start({ device: 'null', stepMs: 0, seats: 2, maxWaitSeconds: 30 });
  try {
    const report = await soak(neuron, {
      requests: 120,
      concurrency: 8,
      abortShare: 0.4,
      seed: 3,
      onProgress: () => {},
    });
    const { served, left, failed, hung } = report.counts;
    t.deepEqual({ failed, hung }, { failed: 0, hung: 0 }, report.failures.join('\n'));
    t.true(served > 40 && left > 10, `${served} served, ${left} left`);
    t.deepEqual(report.after, report.before);
    t.is(report.after.pagesUsed, 0);
  } finally {
    await neuron.close();
  }
});
