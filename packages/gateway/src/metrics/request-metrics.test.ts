import test from 'ava';
import fc from 'fast-check';
import { Counter, Histogram, type Metric, Registry } from 'prom-client';
import { QuickCounter, QuickHistogram } from './request-metrics.js';

const labels = ['model', 'key'] as const;
const someLabels = fc.record(
  { model: fc.constantFrom('m', 'n', ''), key: fc.constantFrom('k', '', 'a"b\\c\nd') },
  { requiredKeys: ['model'] },
);

test('QuickCounter and QuickHistogram export what prom-client does, whatever is counted', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(someLabels, fc.double({ min: 0, max: 20, noNaN: true })), { maxLength: 20 }),
      async (observed) => {
        const shared = { name: 'x_total', help: 'X.', labels };
        const row = { name: 'y_seconds', help: 'Y.', labels, buckets: [0.5, 1, 10] };
        const [own, other] = [new Registry(), new Registry()];
        const [counter, histogram] = [new QuickCounter(shared), new QuickHistogram(row)];
        for (const metric of [counter, histogram]) own.registerMetric(metric as unknown as Metric);
        const registers = [other];
        const theirCounter = new Counter({ name: 'x_total', help: 'X.', labelNames: labels, registers });
        const theirHistogram = new Histogram({
          name: 'y_seconds',
          help: 'Y.',
          labelNames: labels,
          buckets: [0.5, 1, 10],
          registers,
        });
        for (const [each, value] of observed) {
          counter.inc(each, value);
          histogram.labels(each).observe(value);
          theirCounter.inc(each, value);
          theirHistogram.observe(each, value);
        }
        t.is(await own.metrics(), await other.metrics());
      },
    ),
    { numRuns: 100 },
  );
});
