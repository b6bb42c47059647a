import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { CortexError } from '@helexa/core';
import { type FakeNeuronOptions, freePort } from '@helexa/core/testing';
import test from 'ava';
import type { RunningGateway } from './gateway.js';
import { runGateway } from './testing/running-gateway.js';

interface Reply {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
  readonly status: number;
  /** The next bytes, or undefined at the end. */
  next(): Promise<string | undefined>;
  text(): Promise<string>;
  error(): Promise<{ code: string; message: string; src: string; type: string; [key: string]: unknown }>;
}

type Body = string | Buffer | Record<string, unknown>;

/** Sends a request on a connection of its own. */
const send = (url: string, body?: Body, headers: Record<string, string> = {}, method = 'POST'): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const bytes = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const request = httpRequest(url, {
      method,
      agent: false,
      headers: { 'content-type': 'application/json', ...headers },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      const next = async (): Promise<string | undefined> => {
        const { value, done } = await chunks.next();
        return done ? undefined : (value as Buffer).toString('latin1');
      };
      const text = async (): Promise<string> => {
        let all = '';
        for (let piece = await next(); piece !== undefined; piece = await next()) all += piece;
        return Buffer.from(all, 'latin1').toString();
      };
      const error = async () => (JSON.parse(await text()) as { error: Awaited<ReturnType<Reply['error']>> }).error;
      resolve({ request, response, status: response.statusCode ?? 0, next, text, error });
    });
    request.end(bytes);
  });

const get = (url: string): Promise<Reply> => send(url, undefined, {}, 'GET');
const chat = (gateway: RunningGateway, body: Body, headers?: Record<string, string>): Promise<Reply> =>
  send(`${gateway.url}/v1/chat/completions`, body, headers);

const held = <Value = void>() => {
  let release: (value: Value) => void = () => {};
  const promise = new Promise<Value>((resolve) => {
    release = resolve;
  });
  return { promise, release };
};

test('startGateway routes to the neuron that has the model, and ties by name', async (t) => {
  const { gateway, neurons } = await runGateway(t, {
    b: {
      models: [
        { id: 'm', status: 'loaded' },
        { id: 'only-b', status: 'loaded' },
      ],
    },
    a: { models: [{ id: 'm', status: 'loaded' }] },
  });
  t.is((await chat(gateway, { model: 'only-b' })).status, 200);
  t.is((await chat(gateway, { model: 'm' })).status, 200);
  t.deepEqual([neurons['a']!.requests.length, neurons['b']!.requests.length], [1, 1]);
});

test('startGateway prefers the neuron with fewer requests in flight', async (t) => {
  const gate = held();
  const models = [{ id: 'm', status: 'loaded' }];
  const { gateway, neurons } = await runGateway(t, {
    a: { models, answer: () => ({ steps: [{ wait: gate.promise }, { text: 'x' }] }) },
    b: { models },
  });
  const first = chat(gateway, { model: 'm' });
  await neurons['a']!.received(1);
  t.is((await chat(gateway, { model: 'm' })).status, 200);
  t.is(neurons['b']!.requests.length, 1);
  gate.release();
  t.is((await first).status, 200);
});

test('startGateway forwards the bytes of a body unchanged and keeps the client secrets to itself', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: {} });
  const body = '{ "unknown" : [1.0, 1e400, "\\u00e9é"],\n"model":"fake/model", "model":"fake/model" }';
  await (
    await chat(gateway, body, {
      authorization: 'Bearer secret',
      cookie: 'c=1',
      'x-api-key': 'k',
      'x-mine': 'yes',
      'x-request-id': 'r-7',
    })
  ).text();
  const [received] = neurons['a']!.requests;
  t.is(received!.body.toString(), body);
  const { headers } = received!;
  t.deepEqual([headers['authorization'], headers['cookie'], headers['x-api-key']], [undefined, undefined, undefined]);
  t.deepEqual([headers['x-mine'], headers['x-request-id']], ['yes', 'r-7']);
});

test('startGateway relays a stream byte for byte, however the neuron cuts it', async (t) => {
  const stream = Buffer.from(
    ': alive\n\ndata: {"choices":[{"delta":{"content":"é😀\\n"}}]}\r\n\r\ndata:{"choices":[]}\n\nevent: x\ndata: {"object":\ndata: "x"}\n\ndata: [DONE]\n\n',
  );
  const steps = Array.from(stream, (byte) => ({ raw: Buffer.from([byte]) }));
  const { gateway } = await runGateway(t, { a: { answer: () => ({ steps: [...steps, { stop: true }] }) } });
  const reply = await chat(gateway, { model: 'fake/model', stream: true });
  t.is(await reply.text(), stream.toString());
  t.is(reply.response.headers['content-type'], 'text/event-stream; charset=utf-8');
  t.is(reply.response.headers['x-accel-buffering'], 'no');
});

test('startGateway hands each event on before the next one exists', async (t) => {
  const gates = [held(), held(), held()];
  const steps = gates.flatMap(({ promise }, index) => [{ wait: promise }, { raw: `data: ${index}\n\n` }]);
  const end = held();
  const { gateway } = await runGateway(t, {
    a: { answer: () => ({ steps: [...steps, { wait: end.promise }, { raw: 'data: [DONE]\n\n' }, { stop: true }] }) },
  });
  const pending = chat(gateway, { model: 'fake/model', stream: true });
  gates[0]!.release();
  const reply = await pending;
  t.is(await reply.next(), 'data: 0\n\n');
  gates[1]!.release();
  t.is(await reply.next(), 'data: 1\n\n');
  gates[2]!.release();
  t.is(await reply.next(), 'data: 2\n\n');
  end.release();
  t.is(await reply.text(), 'data: [DONE]\n\n');
});

test('startGateway stops the neuron when the client leaves before and during the answer', async (t) => {
  const never = new Promise(() => {});
  const { gateway, neurons } = await runGateway(t, {
    a: {
      answer: ({ path }) => ({
        steps: path === '/v1/completions' ? [{ wait: never }] : [{ text: 'x' }, { wait: never }],
      }),
    },
  });
  const streaming = await chat(gateway, { model: 'fake/model', stream: true });
  await streaming.next();
  streaming.request.destroy();
  await neurons['a']!.requests[0]!.aborted;
  const waiting = httpRequest(`${gateway.url}/v1/completions`, {
    method: 'POST',
    agent: false,
    headers: { 'content-type': 'application/json' },
  });
  waiting.on('error', () => {});
  waiting.end('{"model":"fake/model","stream":true}');
  await neurons['a']!.received(2);
  waiting.destroy();
  await neurons['a']!.requests[1]!.aborted;
  t.pass();
});

const twins = (first: FakeNeuronOptions['answer'] & {}): Record<string, FakeNeuronOptions> => ({
  a: { answer: first },
  b: { tokens: ['from b'] },
});

for (const [what, answer] of [
  ['cuts the connection', { reset: true }],
  ['dies inside its first event', { steps: [{ raw: 'data: {"ha' }, { die: true }] }],
  ['ends its stream without an event', { steps: [{ stop: true }] }],
] as const) {
  test(`startGateway asks another neuron when the first one ${what}`, async (t) => {
    const { gateway, neurons } = await runGateway(
      t,
      twins(() => answer),
    );
    const reply = await chat(gateway, { model: 'fake/model', stream: true });
    t.regex(await reply.text(), /from b/);
    t.deepEqual([neurons['a']!.requests.length, neurons['b']!.requests.length], [1, 1]);
  });
}

test('startGateway asks another neuron when one is gone, and answers 502 when all are', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: {}, b: { tokens: ['from b'] } });
  await neurons['a']!.close();
  t.regex(await (await chat(gateway, { model: 'fake/model' })).text(), /from b/);
  await neurons['b']!.close();
  const reply = await chat(gateway, { model: 'fake/model' });
  t.is(reply.status, 502);
  const error = await reply.error();
  t.deepEqual([error.code, error.src, error.type], ['upstream_unreachable', 'gateway', 'api_error']);
  t.false(/127\.0\.0\.1/.test(error.message));
});

test('startGateway ends a stream whose neuron dies with an error event and no end mark', async (t) => {
  const { gateway, neurons } = await runGateway(
    t,
    twins(() => ({ steps: [{ text: 'begun' }, { raw: 'data: {"ha' }, { die: true }] })),
  );
  const text = await (await chat(gateway, { model: 'fake/model', stream: true })).text();
  t.regex(text, /begun/);
  const last = text.trimEnd().split('\n\n').at(-1)!;
  t.is((JSON.parse(last.replace('data: ', '')) as { error: { code: string } }).error.code, 'stream_interrupted');
  t.false(text.includes('[DONE]') || text.includes('{"ha'));
  t.is(neurons['b']!.requests.length, 0);
});

test('startGateway passes on the error of a neuron with its headers', async (t) => {
  const body =
    '{"error":{"message":"x","type":"rate_limit_error","code":"rate_limit_exceeded","param":null,"src":"neuron"}}';
  const { gateway } = await runGateway(t, {
    a: { answer: () => ({ status: 503, body, headers: { 'retry-after': '7' } }) },
  });
  const reply = await chat(gateway, { model: 'fake/model', stream: true });
  t.deepEqual([reply.status, reply.response.headers['retry-after'], await reply.text()], [503, '7', body]);
});

const refused: readonly [string, Body, number, string][] = [
  ['an empty body', '', 400, 'malformed_json'],
  ['a body that is not JSON', '{"model":', 400, 'malformed_json'],
  [
    'a body that is not UTF-8',
    Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
    400,
    'malformed_json',
  ],
  ['a list', '[]', 400, 'invalid_request_body'],
  ['a body of a million brackets', `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`, 400, 'invalid_request_body'],
  ['a body without a model', '{"messages":[]}', 400, 'missing_model_field'],
  ['a model that is a number', '{"model":1}', 400, 'missing_model_field'],
  ['an unknown model', '{"model":"nobody/has-it"}', 404, 'model_not_found'],
  ['a model that is on disk only', '{"model":"on/disk"}', 503, 'model_not_loaded'],
];
test('startGateway refuses what it cannot route, in the OpenAI form and with its own name', async (t) => {
  const { gateway, neurons } = await runGateway(t, {
    a: {
      models: [
        { id: 'fake/model', status: 'loaded' },
        { id: 'on/disk', status: 'unloaded' },
      ],
    },
  });
  for (const [what, body, status, code] of refused) {
    const reply = await chat(gateway, body);
    const error = await reply.error();
    t.deepEqual([reply.status, error.code, error.src], [status, code, 'gateway'], what);
    t.truthy(reply.response.headers['x-request-id'], what);
  }
  t.is(neurons['a']!.requests.length, 0);
  const unknown = await (await chat(gateway, { model: 'x' })).error();
  t.is(unknown['suggestion'], 'Available models: fake/model');
});

test('startGateway names wrong routes, methods, media types and encodings', async (t) => {
  const { gateway } = await runGateway(t, { a: {} });
  const route = await get(`${gateway.url}/nowhere?x=1`);
  t.deepEqual([route.status, (await route.error()).code], [404, 'route_not_found']);
  const method = await get(`${gateway.url}/v1/chat/completions`);
  t.deepEqual(
    [method.status, method.response.headers['allow'], (await method.error()).code],
    [405, 'POST', 'method_not_allowed'],
  );
  const media = await chat(gateway, '{}', { 'content-type': 'text/plain' });
  t.deepEqual([media.status, (await media.error()).code], [415, 'unsupported_media_type']);
  const encoding = await chat(gateway, '{}', { 'content-encoding': 'gzip' });
  t.deepEqual([encoding.status, (await encoding.error()).code], [415, 'unsupported_encoding']);
});

test('startGateway refuses a body of 100 MB without taking it, announced or not', async (t) => {
  const { gateway } = await runGateway(t, { a: {} }, { gateway: { body_limit_bytes: 1_000_000 } });
  const total = 100_000_000;
  const piece = Buffer.alloc(1 << 16, 0x20);
  for (const announced of [true, false]) {
    const outcome = await new Promise<{ status: number; code: string; sent: number }>((resolve, reject) => {
      const request = httpRequest(`${gateway.url}/v1/chat/completions`, {
        method: 'POST',
        agent: false,
        headers: { 'content-type': 'application/json', ...(announced ? { 'content-length': String(total) } : {}) },
      });
      let sent = 0;
      let answered = false;
      const pump = (): void => {
        while (!answered && sent < total) {
          sent += piece.length;
          if (!request.write(piece)) break;
        }
      };
      request.on('drain', pump);
      request.on('error', (error) => {
        if (!answered) reject(error);
      });
      request.on('response', (response) => {
        answered = true;
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            code: (JSON.parse(text) as { error: { code: string } }).error.code,
            sent,
          });
          request.destroy();
        });
      });
      pump();
    });
    t.deepEqual([outcome.status, outcome.code], [413, 'body_too_large']);
    t.true(outcome.sent < total / 2, `${outcome.sent} bytes were taken`);
  }
});

test('startGateway lets a client ask before it sends', async (t) => {
  const { gateway } = await runGateway(t, { a: {} }, { gateway: { body_limit_bytes: 2000 } });
  const ask = (body: string): Promise<{ went: boolean; status: number }> =>
    new Promise((resolve, reject) => {
      const headers = {
        'content-type': 'application/json',
        'content-length': String(body.length),
        expect: '100-continue',
      };
      const request = httpRequest(`${gateway.url}/v1/chat/completions`, { method: 'POST', agent: false, headers });
      let went = false;
      request.on('continue', () => {
        went = true;
        request.end(body);
      });
      request.on('error', reject);
      request.on('response', (response) => {
        response.resume();
        response.on('end', () => resolve({ went, status: response.statusCode ?? 0 }));
        if (!went) request.destroy();
        if (!went) resolve({ went, status: response.statusCode ?? 0 });
      });
      request.flushHeaders();
    });
  t.deepEqual(await ask('{"model":"fake/model"}'), { went: true, status: 200 });
  t.deepEqual(await ask(' '.repeat(3000)), { went: false, status: 413 });
});

const raw = (url: string, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
    socket.write(bytes);
  });

test('startGateway answers broken HTTP with an error in the usual form and closes', async (t) => {
  const { gateway } = await runGateway(t, { a: {} });
  t.regex(await raw(gateway.url, 'NOT HTTP AT ALL\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*"code":"malformed_http"/);
  t.regex(
    await raw(gateway.url, `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'y'.repeat(40_000)}\r\n\r\n`),
    /^HTTP\/1\.1 431 [\s\S]*"headers_too_large"/,
  );
  const smuggled =
    'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n';
  t.regex(await raw(gateway.url, smuggled), /^HTTP\/1\.1 400 /);
});

test('startGateway lists models and health while a neuron is dead or never answers', async (t) => {
  const { gateway } = await runGateway(
    t,
    {
      mute: { control: () => new Promise(() => {}) },
      live: { models: [{ id: 'm', status: 'loaded', limit: { context: 10 } }] },
    },
    {
      gateway: { poll_timeout_ms: 2000 },
      neurons: [{ name: 'dead', endpoint: `http://127.0.0.1:${await freePort()}` }],
    },
  );
  const list = JSON.parse(await (await get(`${gateway.url}/v1/models`)).text()) as {
    object: string;
    data: { id: string }[];
  };
  t.deepEqual([list.object, list.data.map(({ id }) => id)], ['list', ['m']]);
  const health = JSON.parse(await (await get(`${gateway.url}/health`)).text()) as { status: string; nodes: unknown };
  t.deepEqual([health.status, health.nodes], ['degraded', { healthy: 1, total: 3 }]);
  t.is((await chat(gateway, { model: 'm' })).status, 200);
  const version = JSON.parse(await (await get(`${gateway.url}/version`)).text()) as { package_version: string };
  t.regex(version.package_version, /^\d+\.\d+\.\d+$/);
});

test('startGateway ends requests at a neuron that has stopped answering', async (t) => {
  const models = [{ id: 'm', status: 'loaded' }];
  let isDown = false;
  const control = () => (isDown ? Promise.reject(new Error('down')) : undefined);
  const { gateway, neurons } = await runGateway(
    t,
    { a: { models, answer: () => ({ hang: true }), control }, b: { models, tokens: ['from b'] } },
    { gateway: { poll_interval_ms: 10 } },
  );
  const pending = chat(gateway, { model: 'm' });
  await neurons['a']!.received(1);
  isDown = true;
  t.regex(await (await pending).text(), /from b/);
});

test('startGateway counts what it does on a listener of its own', async (t) => {
  const { gateway } = await runGateway(t, { a: {} });
  await (await chat(gateway, { model: 'fake/model' })).text();
  await (await chat(gateway, { model: 'an invented name' })).text();
  const text = await (await get(`${gateway.metricsUrl}/metrics`)).text();
  t.regex(
    text,
    /cortex_requests_total\{route="\/v1\/chat\/completions",model="fake\/model",node="a",key="",status="200"\} 1/,
  );
  t.regex(text, /cortex_requests_total\{route="\/v1\/chat\/completions",model="",node="",key="",status="404"\} 1/);
  t.regex(text, /cortex_request_duration_seconds_bucket\{le="\+Inf",model="fake\/model",node="a",key=""\} 1/);
  t.regex(text, /cortex_node_requests_in_flight\{node="a"\} 0/);
  t.regex(text, /cortex_model_in_flight\{node="a",model="fake\/model"\} 1/);
  t.false(text.includes('cortex_model_max_in_flight{'));
  t.regex(text, /cortex_device_vram_free_bytes\{node="a",backend="",device="0"\} 7340032/);
  t.regex(text, /cortex_node_healthy\{node="a"\} 1/);
  t.false(text.includes('invented'));
  t.true(text.split('\n').every((line) => line === '' || line.startsWith('#') || /^(?:cortex|process)_/.test(line)));
  t.is((await get(`${gateway.metricsUrl}/v1/models`)).status, 404);
});

test('startGateway says which setting to change when its port is taken, and leaves nothing open', async (t) => {
  const { gateway } = await runGateway(t, { a: {} });
  const address = gateway.url.replace('http://', '');
  for (const [setting, options] of [
    ['gateway.listen', { listen: address }],
    ['gateway.metrics_listen', { metrics_listen: address }],
  ] as const) {
    const error = await t.throwsAsync(runGateway(t, {}, { gateway: options }), {
      instanceOf: CortexError,
    });
    t.is(error?.code, 'port_in_use');
    t.regex(error?.suggestion ?? '', new RegExp(`'${setting}'`));
  }
});

test('close lets an open stream end, and refuses new requests meanwhile', async (t) => {
  const gate = held();
  const { gateway } = await runGateway(t, {
    a: { answer: () => ({ steps: [{ text: 'x' }, { wait: gate.promise }] }) },
  });
  const reply = await chat(gateway, { model: 'fake/model', stream: true });
  await reply.next();
  const closing = gateway.close();
  await t.throwsAsync(chat(gateway, { model: 'fake/model' }));
  gate.release();
  t.regex(await reply.text(), /\[DONE\]/);
  await closing;
});

test('close ends what does not end by itself with a typed error', async (t) => {
  const never = new Promise(() => {});
  const { gateway, neurons } = await runGateway(
    t,
    {
      a: {
        answer: ({ path }) => ({
          steps: path === '/v1/completions' ? [{ wait: never }] : [{ text: 'x' }, { wait: never }],
        }),
      },
    },
    { gateway: { drain_timeout_ms: 0 } },
  );
  const reply = await chat(gateway, { model: 'fake/model', stream: true });
  await reply.next();
  const silent = send(`${gateway.url}/v1/completions`, { model: 'fake/model' });
  await neurons['a']!.received(2);
  const closing = gateway.close();
  const text = await reply.text();
  t.regex(text, /"code":"shutting_down"/);
  t.false(text.includes('[DONE]'));
  const refusal = await silent;
  t.deepEqual([refusal.status, refusal.response.headers['retry-after']], [503, '15']);
  t.is((await refusal.error()).code, 'shutting_down');
  await closing;
  await Promise.all(neurons['a']!.requests.map(({ aborted }) => aborted));
});
