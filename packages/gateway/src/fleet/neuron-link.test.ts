import { readFile, rm } from 'node:fs/promises';
import { createServer as createPlainServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CortexError, gatewayConfigSchema } from '@helexa/core';
import { makeCertificate } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { startGateway } from '../gateway.js';
import { errorOf, post } from '../testing/running-gateway.js';
import { baseOf } from './base-of.js';

type Seen = Pick<IncomingMessage, 'url' | 'headers' | 'method'>;

/** A server of another make: a list of models and one answer for every request. */
const foreign =
  (seen: Seen[], token?: string): RequestListener =>
  (request, response) => {
    const { url, headers, method } = request;
    seen.push({ url, headers, method });
    request.resume();
    response.setHeader('content-type', 'application/json');
    if (token !== undefined && headers.authorization !== `Bearer ${token}`) {
      response
        .writeHead(401)
        .end('{"error":{"message":"who?","type":"invalid_request_error","code":"invalid_api_key"}}');
    } else if (url?.endsWith('/models')) {
      response.end(JSON.stringify({ object: 'list', data: [{ id: 'far/model', context_length: 4096 }] }));
    } else {
      const choice = { index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' };
      const usage = { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 };
      response.end(
        JSON.stringify({ id: 'x', object: 'chat.completion', model: 'far/model', choices: [choice], usage }),
      );
    }
  };

const listen = async (t: ExecutionContext, server: ReturnType<typeof createPlainServer>): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
};

const gatewayBefore = async (t: ExecutionContext, neurons: readonly object[], more: object = {}) => {
  const config = gatewayConfigSchema.parse({
    gateway: { listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0', poll_interval_ms: 600_000 },
    neurons,
    ...more,
  });
  const gateway = await startGateway({ config, firstLookMs: 20_000, logger: pino({ level: 'silent' }) });
  t.teardown(() => gateway.close());
  return gateway;
};

const chat = { model: 'far/model', messages: [{ role: 'user', content: 'hi' }], max_tokens: 5 };

test('baseOf takes an address with or without the version that our paths begin with', (t) => {
  t.is(baseOf('https://api.example.com/v1').base, 'https://api.example.com');
  t.is(baseOf('https://example.com/api/v1').base, 'https://example.com/api');
  t.is(baseOf('http://10.0.0.1:80').base, 'http://10.0.0.1');
});

test('startGateway serves the models of another make in both dialects, with its token and not the principal', async (t) => {
  const seen: Seen[] = [];
  const port = await listen(t, createPlainServer(foreign(seen, 'far-secret')));
  const far = { name: 'far', kind: 'openai', endpoint: `http://127.0.0.1:${port}/api/v1`, token: 'far-secret' };
  const keys = [{ key: 'sk-someone-1', account_id: 'acme' }];
  const gateway = await gatewayBefore(t, [far], { entitlements: { keys } });
  const list = (await (await fetch(`${gateway.url}/v1/models`)).json()) as { data: Record<string, unknown>[] };
  t.like(list.data[0], { id: 'far/model', loaded: true, limit: { context: 4096 }, max_model_len: 4096 });
  const bearer = { authorization: 'Bearer sk-someone-1' };
  t.is((await post(gateway, chat, bearer)).status, 200);
  const anthropic = await post(gateway, { ...chat, max_tokens: 5 }, bearer, '/v1/messages');
  t.like(await anthropic.json(), { type: 'message', content: [{ type: 'text', text: 'hello' }] });
  const count = await post(gateway, chat, bearer, '/v1/messages/count_tokens');
  t.deepEqual([count.status, (await errorOf(count)).type], [404, 'not_found_error']);
  t.deepEqual(
    seen.map(({ method, url }) => `${method} ${url}`),
    ['GET /api/v1/models', 'POST /api/v1/chat/completions', 'POST /api/v1/chat/completions'],
  );
  for (const { headers } of seen) {
    t.is(headers.authorization, 'Bearer far-secret');
    t.is(headers['x-helexa-account-id'], undefined);
  }
});

test('startGateway takes the models of another make from the configuration, and loads none there', async (t) => {
  const seen: Seen[] = [];
  const port = await listen(
    t,
    createPlainServer((request, response) => {
      if (request.url === '/v1/models') response.writeHead(404).end();
      else foreign(seen)(request, response);
    }),
  );
  const models = [{ id: 'far/model', limit: { context: 100 }, capabilities: ['text', 'vision'], tool_call: true }];
  const endpoint = `http://127.0.0.1:${port}`;
  const gateway = await gatewayBefore(t, [{ name: 'far', kind: 'openai', endpoint, models }]);
  const list = (await (await fetch(`${gateway.url}/v1/models`)).json()) as { data: Record<string, unknown>[] };
  t.like(list.data[0], { capabilities: ['text', 'vision'], tool_call: true, limit: { context: 100 } });
  t.is((await post(gateway, chat)).status, 200);
  t.is((await post(gateway, { ...chat, model: 'other' })).status, 404);
  t.deepEqual([...new Set(seen.map(({ url }) => url))], ['/v1/chat/completions']);
});

test('startGateway: a server of another make that refuses the token is down, and says why', async (t) => {
  const port = await listen(t, createPlainServer(foreign([], 'far-secret')));
  const endpoint = `http://127.0.0.1:${port}`;
  const gateway = await gatewayBefore(t, [{ name: 'far', kind: 'openai', endpoint, models: [{ id: 'far/model' }] }]);
  const health = (await (await fetch(`${gateway.url}/health`)).json()) as { neurons: { reason?: string }[] };
  t.is(health.neurons[0]?.reason, 'it answered with status 401');
  t.is((await errorOf(await post(gateway, chat))).code, 'service_unavailable');
});

test('startGateway checks the certificate of a neuron against its own authority, and against no other', async (t) => {
  const certificate = await makeCertificate();
  if (!certificate) {
    t.log('openssl is not installed: TLS is not tested on this machine');
    return void t.pass();
  }
  const { folder, certFile, keyFile } = certificate;
  t.teardown(() => rm(folder, { recursive: true }));
  const seen: Seen[] = [];
  const pem = { cert: await readFile(certFile), key: await readFile(keyFile) };
  const port = await listen(t, createServer(pem, foreign(seen)) as ReturnType<typeof createPlainServer>);
  const entry = { name: 'far', kind: 'openai', endpoint: `https://127.0.0.1:${port}` };
  const trusting = await gatewayBefore(t, [{ ...entry, ca: certFile }]);
  t.is((await post(trusting, chat)).status, 200);
  const wary = await gatewayBefore(t, [entry]);
  t.is((await post(wary, chat)).status, 503);
  const health = (await (await fetch(`${wary.url}/health`)).json()) as { neurons: { reason?: string }[] };
  t.is(health.neurons[0]?.reason, 'the connection failed (DEPTH_ZERO_SELF_SIGNED_CERT)');
});

test('startGateway refuses a certificate file or a token file that is not there', async (t) => {
  const entry = { name: 'a', endpoint: 'http://127.0.0.1:1' };
  for (const more of [{ ca: '/none/ca.pem' }, { token_file: '/none/token' }]) {
    const error = await t.throwsAsync(gatewayBefore(t, [{ ...entry, ...more }]), { instanceOf: CortexError });
    t.is(error?.code, 'config_invalid');
  }
});
