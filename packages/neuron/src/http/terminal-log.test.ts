import { Writable } from 'node:stream';
import { settle } from '@helexa/core/testing';
import test from 'ava';
import { pino } from 'pino';
import { post, startTinyNeuron } from '../testing/tiny-neuron.js';

interface Line {
  readonly msg: string;
  readonly outcome?: string;
  readonly client_gone?: boolean;
  readonly request_id?: string;
  readonly principal?: string | null;
  readonly queueMs?: number;
  readonly finish?: string;
  readonly promptTokens?: number;
  readonly status?: number;
  readonly code?: string;
}

test('every generation ends with exactly one log line, streamed, whole or abandoned; every refusal has one too', async (t) => {
  const lines: Line[] = [];
  const sink = new Writable({
    write(chunk, _, done) {
      for (const line of String(chunk).split('\n')) if (line) lines.push(JSON.parse(line) as Line);
      done();
    },
  });
  const neuron = await startTinyNeuron({ logger: pino({ level: 'info' }, sink) });
  t.teardown(() => neuron.close());
  const terminal = () => lines.filter((line) => line.msg.startsWith('generation ended'));
  const path = '/v1/chat/completions';
  const body = { model: 'tiny', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 4, temperature: 0 };

  await (await post(neuron, path, body)).text();
  await (await post(neuron, path, { ...body, stream: true })).text();
  await (await post(neuron, '/v1/completions', { model: 'tiny', prompt: 'Hi', max_tokens: 4 })).text();
  t.is(terminal().length, 3);
  for (const line of terminal()) {
    t.like(line, { outcome: 'finished', client_gone: false });
    t.true(line.promptTokens! > 0);
  }

  t.is(new Set(terminal().map((line) => line.request_id)).size, 3, 'each has the id of its request');
  const headers = { 'content-type': 'application/json', 'x-helexa-account-id': 'acme', 'x-helexa-key-id': 'k1' };
  await (await post(neuron, path, body, { headers })).text();
  t.like(terminal()[3], { principal: 'acme/k1', outcome: 'finished' });
  t.true(terminal()[3]!.queueMs! >= 0);
  t.is(terminal()[0]!.principal, null);

  const abort = new AbortController();
  const long = { ...body, max_tokens: 400, stream: true };
  const response = await post(neuron, path, long, { signal: abort.signal });
  await response.body!.getReader().read();
  abort.abort();
  while (terminal().length < 5) await settle(1);
  t.like(terminal()[4], { outcome: 'client_gone', client_gone: true });

  await (await post(neuron, path, { ...body, n: 9 })).text();
  const refused = lines.filter((line) => line.msg === 'request rejected' && line.status === 400);
  t.is(refused.length, 1);
  t.is(refused[0]!.code, 'unsupported_parameter');
});
