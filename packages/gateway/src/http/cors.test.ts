import { gatewayConfigSchema } from '@helexa/core';
import test from 'ava';
import { runGateway } from '../testing/running-gateway.js';

const models = [{ id: 'm', status: 'loaded' }];
const app = 'https://app.example.com';
const other = 'https://evil.example.com';
const keys = [{ key: 'sk-someone-1', account_id: 'acme' }];
const guarded = { require_auth: true, keys };

const preflight = (url: string, origin: string, path = '/v1/chat/completions') =>
  fetch(url + path, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,x-stainless-os',
    },
  });

const corsOf = (response: Response): Record<string, string> =>
  Object.fromEntries([...response.headers].filter(([name]) => name.startsWith('access-control-') || name === 'vary'));

test('startGateway says nothing of CORS unless it is configured', async (t) => {
  const { gateway } = await runGateway(t, { a: { models } });
  const asked = await preflight(gateway.url, app);
  t.is(asked.status, 405);
  t.deepEqual(corsOf(asked), {});
  t.deepEqual(corsOf(await fetch(`${gateway.url}/v1/models`, { headers: { origin: app } })), {});
});

test('startGateway answers a page of a listed origin before it asks for a key, and no other', async (t) => {
  const { gateway } = await runGateway(
    t,
    { a: { models } },
    { gateway: { cors_origins: [app] }, entitlements: guarded },
  );
  const asked = await preflight(gateway.url, app);
  t.is(asked.status, 204);
  t.like(corsOf(asked), {
    'access-control-allow-origin': app,
    'access-control-allow-methods': 'POST',
    'access-control-allow-headers': 'authorization,content-type,x-stainless-os',
    'access-control-max-age': '600',
    vary: 'origin',
  });
  t.is(asked.headers.get('access-control-allow-credentials'), null);
  const refused = await fetch(`${gateway.url}/v1/models`, { headers: { origin: app } });
  t.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [401, app]);
  t.regex(refused.headers.get('access-control-expose-headers') ?? '', /x-request-id/);
  const stranger = await preflight(gateway.url, other);
  t.is(stranger.status, 401);
  t.deepEqual(corsOf(stranger), { vary: 'origin' });
});

test('startGateway lets pages send credentials only where that is said, and never every page', async (t) => {
  const cors = { cors_origins: [app], cors_credentials: true };
  const { gateway } = await runGateway(t, { a: { models } }, { gateway: cors });
  const response = await fetch(`${gateway.url}/v1/models`, { headers: { origin: app } });
  t.is(response.headers.get('access-control-allow-credentials'), 'true');
  t.false(gatewayConfigSchema.safeParse({ gateway: { cors_origins: ['*'], cors_credentials: true } }).success);
  t.false(gatewayConfigSchema.safeParse({ gateway: { cors_origins: ['https://a/b'] } }).success);
});

test('startGateway keeps what a neuron says about CORS to itself', async (t) => {
  const answer = () => ({ status: 200, body: '{}', headers: { 'access-control-allow-origin': '*' } });
  const { gateway } = await runGateway(t, { a: { models, answer } }, { gateway: { cors_origins: [app] } });
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: app },
    body: '{"model":"m","messages":[]}',
  });
  t.is(response.headers.get('access-control-allow-origin'), app);
});

test('startGateway refuses what a page could send without asking', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: { models } });
  const send = (headers: Record<string, string>, body: Buffer) =>
    fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', headers, body });
  const bytes = Buffer.from('{"model":"m","messages":[]}');
  t.is((await send({ origin: other }, bytes)).status, 415);
  t.is((await send({ origin: other, 'content-type': 'text/plain' }, bytes)).status, 415);
  t.is(neurons['a']!.requests.length, 0);
  t.is((await send({}, bytes)).status, 200);
});
