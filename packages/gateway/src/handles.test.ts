import { request as httpRequest } from 'node:http';
import { gatewayConfigSchema } from '@helexa/core';
import { settle, startFakeNeuron } from '@helexa/core/testing';
import test from 'ava';
import { pino } from 'pino';
import { startGateway } from './gateway.js';

/** Sockets, servers and timers that keep this process alive. */
const openHandles = (): string[] =>
  process
    .getActiveResourcesInfo()
    .filter((name) => /^(TCP|Timeout|Immediate)/.test(name))
    .sort();

const post = (url: string, body: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const request = httpRequest(url, { method: 'POST', agent: false, headers: { 'content-type': 'application/json' } });
    request.on('error', reject);
    request.on('response', (response) => response.resume().on('end', () => resolve(response.statusCode ?? 0)));
    request.end(body);
  });

test('close leaves no socket, server or timer behind', async (t) => {
  const before = openHandles();
  const neuron = await startFakeNeuron({ answer: ({ body }) => (body.includes('die') ? { reset: true } : undefined) });
  const config = gatewayConfigSchema.parse({
    gateway: { listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0', body_limit_bytes: 1024 },
    neurons: [
      { name: 'a', endpoint: neuron.url },
      { name: 'nobody', endpoint: 'http://127.0.0.1:9' },
    ],
  });
  const gateway = await startGateway({ config, firstLookMs: 20_000, logger: pino({ level: 'silent' }) });
  const url = `${gateway.url}/v1/chat/completions`;
  t.is(await post(url, '{"model":"fake/model","stream":true}'), 200);
  t.is(await post(url, '{"model":"fake/model","die":1}'), 502);
  t.is(await post(url, ' '.repeat(2048)), 413);
  t.true(openHandles().length > before.length);
  await gateway.close();
  await neuron.close();
  await settle(20);
  t.deepEqual(openHandles(), before);
});
