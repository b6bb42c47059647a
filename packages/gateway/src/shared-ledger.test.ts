import { gatewayConfigSchema } from '@helexa/core';
import { startFakeNeuron } from '@helexa/core/testing';
import test from 'ava';
import { pino } from 'pino';
import { startGateway } from './gateway.js';
import { noRedis, startRedis } from './testing/redis-server.js';
import { errorOf, post } from './testing/running-gateway.js';

test('G7: two gateways with one Redis serve one budget between them, and refuse while it is away', async (t) => {
  const redis = await startRedis();
  if (!redis) {
    t.log(noRedis);
    return void t.pass();
  }
  t.teardown(() => redis.close());
  let answerAll = (): void => {};
  const gate = new Promise<void>((resolve) => {
    answerAll = resolve;
  });
  const answer = () => ({ steps: [{ wait: gate }, { text: 'x' }] });
  const neuron = await startFakeNeuron({ models: [{ id: 'm', status: 'loaded' }], answer });
  t.teardown(() => neuron.close());
  const keys = [
    { key: 'sk-someone-1', account_id: 'acme', hard_cap: 1000 },
    { key: 'sk-nobody-12', account_id: 'free' },
  ];
  const config = gatewayConfigSchema.parse({
    gateway: { listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0', poll_interval_ms: 600_000 },
    neurons: [{ name: 'a', endpoint: neuron.url }],
    entitlements: { keys, ledger: { kind: 'redis', url: redis.url } },
  });
  const open = async () => {
    const gateway = await startGateway({ config, firstLookMs: 20_000, logger: pino({ level: 'silent' }) });
    t.teardown(() => gateway.close());
    return gateway;
  };
  const [one, other] = [await open(), await open()];
  const ask = (gateway: typeof one, tokens: number, key = 'sk-someone-1') =>
    post(gateway, { model: 'm', messages: [], max_tokens: tokens }, { authorization: `Bearer ${key}` });
  // Each sets aside a little over 300: of eight at once three fit, whoever they are sent to.
  const race = [one, other, one, other, one, other, one, other].map((each) => ask(each, 300));
  let refused = 0;
  await new Promise<void>((resolve) => {
    for (const each of race) {
      void each.then(({ status }) => {
        if (status === 429) refused += 1;
        if (refused === 5) resolve();
      });
    }
  });
  answerAll();
  const answers = await Promise.all(race);
  t.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 429, 429, 429, 429, 429]);
  for (const response of answers) await response.text();
  const metrics = async (gateway: typeof one) => await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
  t.regex(await metrics(one), /cortex_ledger_reachable 1/);
  await redis.stop();
  const away = await ask(one, 1);
  t.deepEqual([away.status, away.headers.get('retry-after')], [429, '5']);
  t.is((await errorOf(away)).code, 'rate_limit_exceeded');
  t.is((await ask(one, 1, 'sk-nobody-12')).status, 200);
  t.regex(await metrics(one), /cortex_ledger_reachable 0/);
});
