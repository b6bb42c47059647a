import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findProgram } from '@helexa/core/testing';
import test from 'ava';
import { post, runGateway } from '../testing/running-gateway.js';
import { gaugeRows } from './gauge-tables.js';
import { counterRows, histogramRows } from './metric-tables.js';
import { createMetrics } from './metrics.js';

const folder = join(import.meta.dirname, '..', '..', '..', '..', 'examples', 'monitoring');

/** Names that a query may use: a histogram is asked for by its parts. */
const exported: ReadonlySet<string> = new Set([
  ...[...Object.values(counterRows), ...gaugeRows].map(({ name }) => name),
  ...Object.values(histogramRows).flatMap(({ name }) => [`${name}_bucket`, `${name}_sum`, `${name}_count`]),
]);

for (const file of ['grafana-dashboard.json', 'alerts.yml']) {
  test(`examples/monitoring/${file} asks for metrics that the gateway has`, async (t) => {
    const text = await readFile(join(folder, file), 'utf8');
    const names = [...text.matchAll(/\b(?:cortex|process)_[a-z_]+/g)].map(([name]) => name);
    t.true(names.length > 3);
    t.deepEqual(
      names.filter((name) => !exported.has(name)),
      [],
    );
  });
}

test('createMetrics exports buckets of every histogram once something was observed', async (t) => {
  const metrics = createMetrics({ fleet: () => [], inFlight: () => 0, waiting: () => 0, ledger: () => true });
  const names = Object.keys(histogramRows) as (keyof typeof histogramRows)[];
  for (const name of names) metrics[name].observe({ model: 'm', node: 'a' }, 1);
  const text = await metrics.registry.metrics();
  t.is(text.match(/_bucket\{le="\+Inf",model="m",node="a"\} 1/g)?.length, names.length);
});

/** Runs promtool; its exit status and what it said. */
const promtool = (
  args: readonly string[],
  input: string,
): Promise<{ readonly status: number; readonly said: string }> =>
  new Promise((resolve) => {
    const child = execFile(findProgram('promtool') ?? '', args, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code ?? 1) : 0, said: stdout + stderr });
    });
    child.stdin?.end(input);
  });

test('promtool accepts the example files, and every metric of a gateway that runs', async (t) => {
  if (findProgram('promtool') === undefined) {
    t.log('promtool is not installed: the files for Prometheus are not checked on this machine');
    return void t.pass();
  }
  for (const args of [
    ['check', 'config', join(folder, 'prometheus.yml')],
    ['check', 'rules', join(folder, 'alerts.yml')],
  ]) {
    const { status, said } = await promtool(args, '');
    t.is(status, 0, said);
  }
  const models = [{ id: 'm', status: 'loaded', servable: { ok: true } }];
  const keys = [{ key: 'sk-someone-1', account_id: 'acme', key_id: 'laptop', hard_cap: 10_000 }];
  const { gateway } = await runGateway(t, { a: { models } }, { entitlements: { keys } });
  const stream = { model: 'm', messages: [], stream: true, stream_options: { include_usage: true } };
  await (await post(gateway, stream, { authorization: 'Bearer sk-someone-1' })).text();
  const text = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
  t.regex(text, /cortex_time_to_first_token_seconds_bucket\{le="\+Inf",model="m",node="a",key="laptop"\} 1/);
  t.regex(text, /cortex_request_prompt_tokens_sum\{model="m",node="a",key="laptop"\} 3/);
  const { status, said } = await promtool(['check', 'metrics'], text);
  t.is(status, 0, said);
});
