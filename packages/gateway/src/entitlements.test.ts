import { CortexError, gatewayConfigSchema } from '@helexa/core';
import test from 'ava';
import { refuseOpenDoor } from './keys/open-door.js';
import { errorOf, post, runGateway } from './testing/running-gateway.js';

const models = [{ id: 'm', status: 'loaded' }];
const key = 'sk-someone-1';
const bearer = { authorization: `Bearer ${key}` };
const someone = { key, account_id: 'acme', key_id: 'laptop' };
const body = { model: 'm', messages: [], max_tokens: 10 };

test('startGateway stamps its own principal and never the one that a client claims', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: { models } }, { entitlements: { keys: [someone] } });
  const claim = { 'x-helexa-account-id': 'root', 'x-helexa-key-id': 'root' };
  await post(gateway, body, { ...bearer, ...claim });
  await post(gateway, body, { ...claim, 'x-api-key': 'placeholder' });
  const [known, unknown] = neurons['a']!.requests.map(({ headers }) => headers);
  t.deepEqual([known!['x-helexa-account-id'], known!['x-helexa-key-id']], ['acme', 'laptop']);
  t.deepEqual([unknown!['x-helexa-account-id'], unknown!['x-helexa-key-id']], [undefined, undefined]);
  t.deepEqual([known!['authorization'], unknown!['x-api-key']], [undefined, undefined]);
});

test('startGateway asks for a key on every route but the health page, and says so in the dialect', async (t) => {
  const { gateway } = await runGateway(t, { a: { models } }, { entitlements: { require_auth: true, keys: [someone] } });
  const refused = await post(gateway, body, { authorization: 'Bearer wrong' });
  t.deepEqual([refused.status, (await errorOf(refused)).code], [401, 'invalid_api_key']);
  t.is((await fetch(`${gateway.url}/v1/models`)).status, 401);
  t.is((await fetch(`${gateway.url}/health`)).status, 200);
  t.is((await post(gateway, body, bearer)).status, 200);
  const anthropic = await post(gateway, body, {}, '/v1/messages');
  t.deepEqual([anthropic.status, (await errorOf(anthropic)).type], [401, 'authentication_error']);
});

test('startGateway keeps admin routes for admin keys, whatever else is open', async (t) => {
  const admin = { key: 'sk-admin-1', account_id: 'root', admin: true };
  const { gateway } = await runGateway(t, { a: { models } }, { entitlements: { keys: [someone, admin] } });
  const reload = (headers: Record<string, string>) => post(gateway, {}, headers, '/admin/reload');
  t.is((await reload({})).status, 401);
  t.is((await reload(bearer)).status, 403);
  t.is((await reload({ authorization: 'Bearer sk-admin-1' })).status, 200);
  t.is((await post(gateway, body, { authorization: 'Bearer sk-admin-1' })).status, 403);
});

test('startGateway G3: a reload takes up keys, and keeps those before when they cannot be read', async (t) => {
  const admin = { key: 'sk-admin-1', account_id: 'root', admin: true };
  const fresh = { key: 'sk-fresh-12', account_id: 'fresh' };
  const asRoot = { authorization: 'Bearer sk-admin-1' };
  const next: { read: () => object } = { read: () => ({ require_auth: true, keys: [admin, fresh] }) };
  const { gateway } = await runGateway(
    t,
    { a: { models } },
    { entitlements: { require_auth: true, keys: [admin, someone] } },
    async () => gatewayConfigSchema.parse({ entitlements: next.read() }),
  );
  const reload = () => post(gateway, {}, asRoot, '/admin/reload');
  t.is((await post(gateway, body, bearer)).status, 200);
  t.deepEqual(await (await reload()).json(), { models: 0, aliases: 0, keys: 2 });
  t.is((await post(gateway, body, bearer)).status, 401);
  t.is((await post(gateway, body, { authorization: 'Bearer sk-fresh-12' })).status, 200);
  next.read = () => {
    throw new CortexError('config_invalid', { where: 'cortex.toml', reason: 'nonsense' });
  };
  t.is((await reload()).status, 500);
  t.is((await post(gateway, body, { authorization: 'Bearer sk-fresh-12' })).status, 200);
  const keys = (await (await fetch(`${gateway.url}/admin/keys`, { headers: asRoot })).json()) as { data: object[] };
  t.like(keys.data[1], { key_id: 'fresh', spent: 10, reserved: 0, hard_cap: null });
  t.is((await fetch(`${gateway.url}/admin/keys`, { headers: { authorization: 'Bearer sk-fresh-12' } })).status, 403);
});

test('startGateway refuses models beyond the scope of a key', async (t) => {
  const keys = [{ ...someone, allowed_models: ['other'] }];
  const { gateway, neurons } = await runGateway(t, { a: { models } }, { entitlements: { keys } });
  const response = await post(gateway, body, bearer);
  t.deepEqual([response.status, (await errorOf(response)).code], [403, 'key_not_allowed']);
  t.is(neurons['a']!.requests.length, 0);
});

test('startGateway lists and shows a key only the models that it may use, by id and by alias', async (t) => {
  const keys = [
    { ...someone, allowed_models: ['org/one'] },
    { key: 'sk-everything', account_id: 'all' },
    { key: 'sk-admin-1', account_id: 'root', admin: true },
  ];
  const loaded = ['org/one', 'org/two'].map((id) => ({ id, status: 'loaded', limit: { context: 64, output: 8 } }));
  const { gateway } = await runGateway(t, { a: { models: loaded } }, { entitlements: { require_auth: true, keys } });
  const get = async (path: string, authorization: string, more: Record<string, string> = {}) => {
    const response = await fetch(gateway.url + path, { headers: { authorization, ...more } });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const ids = async (authorization: string) =>
    ((await get('/v1/models', authorization)).body['data'] as { id: string }[]).map(({ id }) => id);
  t.deepEqual(await ids(`Bearer ${key}`), ['org/one']);
  t.deepEqual(await ids('Bearer sk-everything'), ['org/one', 'org/two']);
  t.deepEqual(await ids('Bearer sk-admin-1'), []);
  for (const path of ['/v1/models/org/one', '/v1/models/org%2Fone']) {
    t.like((await get(path, `Bearer ${key}`)).body, { id: 'org/one', object: 'model', loaded: true });
  }
  const anthropic = { 'anthropic-version': '2023-06-01' };
  t.like((await get('/v1/models/org/one', `Bearer ${key}`, anthropic)).body, {
    type: 'model',
    id: 'org/one',
    max_input_tokens: 64,
    max_tokens: 8,
  });
  const hidden = await get('/v1/models/org/two', `Bearer ${key}`);
  t.deepEqual([hidden.status, (hidden.body['error'] as { code: string }).code], [404, 'model_not_found']);
  t.false(JSON.stringify(hidden.body).includes('"org/two"]'));
  const absent = await get('/v1/models/%zz', 'Bearer sk-everything', anthropic);
  t.deepEqual([absent.status, (absent.body['error'] as { type: string }).type], [404, 'not_found_error']);
});

test('startGateway passes embeddings on, reserves their prompt alone, and charges what the neuron reports', async (t) => {
  const keys = [{ ...someone, hard_cap: 30 }];
  const vectors = { object: 'list', data: [{ object: 'embedding', index: 0, embedding: [1, 0] }], model: 'm' };
  const answer = () => ({
    status: 200,
    body: JSON.stringify({ ...vectors, usage: { prompt_tokens: 7, total_tokens: 7 } }),
  });
  const { gateway, neurons } = await runGateway(t, { a: { models, answer } }, { entitlements: { keys } });
  const response = await post(gateway, { model: 'm', input: ['hello'] }, bearer, '/v1/embeddings');
  t.like(await response.json(), { object: 'list', usage: { prompt_tokens: 7 } });
  t.is(neurons['a']!.requests[0]!.path, '/v1/embeddings');
  const metrics = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
  t.regex(metrics, /cortex_spend_tokens_total\{account="acme",key="laptop"\} 7\n/);
});

test('startGateway settles a budget with the usage that came, of a stream and of an answer in one piece', async (t) => {
  const keys = [{ ...someone, hard_cap: 60 }];
  const { gateway } = await runGateway(t, { a: { models } }, { entitlements: { keys } });
  // Each is reserved with about 24 tokens and settled with 5, so that eight fit into 60.
  for (const stream of [true, false, true, false, true, false]) {
    const more = { stream, stream_options: { include_usage: true } };
    const response = await post(gateway, stream ? { ...body, ...more } : body, bearer);
    t.is(response.status, 200);
    await response.text();
  }
  const metrics = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
  t.regex(metrics, /cortex_spend_tokens_total\{account="acme",key="laptop"\} 30\n/);
  const refused = await post(gateway, { ...body, max_tokens: 40 }, bearer);
  const error = await errorOf(refused);
  t.deepEqual([refused.status, error.code, error.type], [429, 'insufficient_quota', 'insufficient_quota']);
  t.is(refused.headers.get('retry-after'), null);
});

test('startGateway charges an answer that its client left with what was seen of it', async (t) => {
  const delta = 'data: {"choices":[{"delta":{"content":"x"}}]}\n\n';
  const never = new Promise(() => {});
  const { gateway, neurons } = await runGateway(
    t,
    { a: { models, answer: () => ({ steps: [{ raw: delta.repeat(7) }, { wait: never }] }) } },
    { entitlements: { keys: [someone] } },
  );
  const abort = new AbortController();
  const text = JSON.stringify({ ...body, stream: true });
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...bearer },
    body: text,
    signal: abort.signal,
  });
  await response.body!.getReader().read();
  abort.abort();
  await neurons['a']!.requests[0]!.aborted;
  const expected = Math.ceil(text.length / 4) + 7;
  const metrics = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
  t.regex(metrics, new RegExp(`cortex_spend_tokens_total\\{account="acme",key="laptop"\\} ${expected}\\n`));
});

test('startGateway releases the budget of a request that no neuron could answer', async (t) => {
  const keys = [{ ...someone, hard_cap: 40 }];
  const answer = () => ({ reset: true as const });
  const { gateway } = await runGateway(t, { a: { models, answer } }, { entitlements: { keys } });
  for (let request = 0; request < 4; request++) t.is((await post(gateway, body, bearer)).status, 502);
});

test('startGateway counts what it refuses by its reason', async (t) => {
  const keys = [{ ...someone, requests_per_minute: 1 }];
  const { gateway } = await runGateway(t, { a: { models } }, { entitlements: { keys } });
  t.is((await post(gateway, body, bearer)).status, 200);
  const refused = await post(gateway, body, bearer);
  t.is(refused.status, 429);
  // One request in a minute: less than that is left.
  t.true(Number(refused.headers.get('retry-after')) > 30);
  const metrics = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
  t.regex(metrics, /cortex_rejections_total\{model="m",key="laptop",code="rate_limit_exceeded"\} 1\n/);
});

test('refuseOpenDoor lets other hosts in with keys, or when told to', (t) => {
  const codeOf = (config: object): string | undefined => {
    try {
      refuseOpenDoor(gatewayConfigSchema.parse(config));
      return undefined;
    } catch (error) {
      return (error as CortexError).code;
    }
  };
  const listen = '0.0.0.0:31313';
  t.is(codeOf({ gateway: { listen } }), 'listen_without_keys');
  t.is(codeOf({ gateway: { listen: '10.0.0.7:1' }, entitlements: { keys: [someone] } }), 'listen_without_keys');
  t.is(codeOf({ gateway: { listen }, entitlements: { require_auth: true } }), 'listen_without_keys');
  t.is(codeOf({ gateway: { listen }, entitlements: { require_auth: true, keys: [someone] } }), undefined);
  t.is(codeOf({ gateway: { listen, allow_unauthenticated: true } }), undefined);
  for (const host of ['127.0.0.1', 'localhost', '[::1]', '127.3.2.1']) {
    t.is(codeOf({ gateway: { listen: `${host}:1` } }), undefined, host);
  }
  t.truthy(new CortexError('listen_without_keys', { address: listen, setting: 'gateway.listen' }).suggestion);
});
