import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Metrics } from './metrics.js';

const folder = join(import.meta.dirname, '..', '..', '..', '..', 'examples', 'monitoring');

/** Names that a query may use: a histogram is asked for by its parts. */
const exported = async (): Promise<ReadonlySet<string>> => {
  const metrics = new Metrics(
    () => [],
    () => 0,
    () => 0,
  );
  const all = await metrics.registry.getMetricsAsJSON();
  return new Set(
    all.flatMap(({ name, type }) =>
      String(type) === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
};

for (const file of ['grafana-dashboard.json', 'alerts.yml']) {
  test(`examples/monitoring/${file} asks for metrics that the gateway has`, async (t) => {
    const text = await readFile(join(folder, file), 'utf8');
    const names = [...text.matchAll(/\bcortex_[a-z_]+/g)].map(([name]) => name);
    t.true(names.length > 3);
    const known = await exported();
    t.deepEqual(
      names.filter((name) => !known.has(name)),
      [],
    );
  });
}

test('Metrics exports buckets of every histogram once something was observed', async (t) => {
  const metrics = new Metrics(
    () => [],
    () => 0,
    () => 0,
  );
  const labels = { model: 'm', node: 'a' };
  const histograms = ['duration', 'firstByte', 'firstToken', 'gap', 'tokenRate', 'queue', 'loadDuration'] as const;
  for (const name of histograms) metrics[name].observe(labels, 1);
  const text = await metrics.registry.metrics();
  t.is(text.match(/_bucket\{le="\+Inf",model="m",node="a"\} 1/g)?.length, histograms.length);
});
