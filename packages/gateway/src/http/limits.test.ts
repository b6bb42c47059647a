import test from 'ava';
import { sayRaw } from '../testing/raw-socket.js';
import { errorOf, post, runGateway } from '../testing/running-gateway.js';

const models = [{ id: 'm', status: 'loaded' }];

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

test('startGateway C3: a body nested too deep is refused in the dialect of its path', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: { models } });
  const send = (path: string, depth: number) =>
    fetch(gateway.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: `{"model":"m","max_tokens":5,"messages":[],"metadata":${nested(depth)}}`,
    });
  for (const depth of [128, 100_000]) {
    const chat = await send('/v1/chat/completions', depth);
    t.deepEqual([chat.status, (await errorOf(chat)).code], [400, 'invalid_request_body']);
    const messages = await send('/v1/messages', depth);
    t.deepEqual([messages.status, (await errorOf(messages)).type], [400, 'invalid_request_error']);
  }
  t.is(neurons['a']!.requests.length, 0);
  t.is((await send('/v1/chat/completions', 127)).status, 200);
});

test('startGateway refuses a body beyond its limit in the dialect of its path', async (t) => {
  const { gateway } = await runGateway(t, { a: { models } }, { gateway: { body_limit_bytes: 2048 } });
  const body = { model: 'm', messages: [{ role: 'user', content: 'x'.repeat(4096) }] };
  const chat = await post(gateway, body);
  t.deepEqual([chat.status, (await errorOf(chat)).type], [413, 'invalid_request_error']);
  const messages = await post(gateway, { ...body, max_tokens: 5 }, {}, '/v1/messages');
  t.deepEqual([messages.status, (await errorOf(messages)).type], [413, 'request_too_large']);
});

test('startGateway refuses headers beyond its limit in the dialect of its path', async (t) => {
  const { gateway } = await runGateway(t, { a: { models } });
  const head = (path: string) => `POST ${path} HTTP/1.1\r\nhost: x\r\nx-filler: ${'y'.repeat(40_000)}\r\n\r\n`;
  const chat = await sayRaw(gateway.url, head('/v1/chat/completions'));
  t.regex(chat, /^HTTP\/1\.1 431 /);
  t.regex(chat, /"code":"headers_too_large"/);
  const messages = await sayRaw(gateway.url, head('/v1/messages'));
  t.regex(messages, /^HTTP\/1\.1 431 /);
  t.regex(messages, /\{"type":"error","error":\{"type":"invalid_request_error"/);
});
