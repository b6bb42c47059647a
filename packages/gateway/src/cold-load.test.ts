import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CortexError } from '@helexa/core';
import type { FakeAnswer, FakeNeuronOptions, FakeRequest } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import { errorOf, post, runGateway } from './testing/running-gateway.js';

const writeCatalogue = async (t: ExecutionContext, text: string): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'catalogue-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'models.toml');
  await writeFile(file, text);
  return file;
};

/** A neuron without models, whose loads answer as the script says; what is loaded is listed from then on. */
const loader = (script: (body: { model_id: string }, count: number) => FakeAnswer | Promise<unknown> | undefined) => {
  const loads: string[] = [];
  const own: { set?: (ids: readonly string[]) => void } = {};
  const options: FakeNeuronOptions = {
    models: [],
    answer: ({ path, body }: FakeRequest): FakeAnswer | undefined => {
      if (path !== '/models/load') return undefined;
      const asked = JSON.parse(body.toString()) as { model_id: string };
      loads.push(body.toString());
      const scripted = script(asked, loads.length);
      if (scripted !== undefined && !(scripted instanceof Promise)) return scripted;
      own.set?.([asked.model_id]);
      const wait = scripted ?? Promise.resolve();
      return { steps: [{ wait }, { raw: '' }, { stop: true }] };
    },
  };
  return { options, loads, own };
};

const begin = async (
  t: ExecutionContext,
  script: Parameters<typeof loader>[0],
  { catalogue = '[[models]]\nid = "org/m"\n', loading = {} }: { catalogue?: string; loading?: object } = {},
) => {
  const { options, loads, own } = loader(script);
  const file = await writeCatalogue(t, catalogue);
  const running = await runGateway(t, { a: options }, { models_config: file, loading });
  own.set = (ids) => running.neurons['a']!.setModels(ids.map((id) => ({ id, status: 'loaded' })));
  return { ...running, loads, file };
};

const ask = { model: 'org/m', messages: [{ role: 'user', content: 'hi' }] };

test('startGateway loads a model of the catalogue when it is asked for, once for all who ask', async (t) => {
  const { gateway, loads } = await begin(t, () => undefined, {
    catalogue: '[[models]]\nid = "org/m"\nquant = "q4_k_m"\n',
  });
  const answers = await Promise.all([1, 2, 3].map(() => post(gateway, ask)));
  t.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
  );
  t.deepEqual(loads, ['{"model_id":"org/m","quant":"q4_k_m"}']);
  const metrics = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
  t.regex(metrics, /cortex_model_loads_total\{node="a",model="org\/m",outcome="ok"\} 1/);
  t.regex(metrics, /cortex_model_load_seconds_bucket\{le="\+Inf",node="a",model="org\/m"\} 1/);
  t.regex(metrics, /cortex_queue_seconds_count\{model="org\/m",node="a",key=""\} 3/);
  t.regex(metrics, /cortex_cold_starts_total\{model="org\/m",node="a"\} 3/);
  t.regex(metrics, /cortex_waiting_requests 0/);
});

test('startGateway speaks on a stream that waits, and goes on in it with the answer', async (t) => {
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { gateway } = await begin(t, () => gate, { loading: { keep_alive_ms: 100 } });
  const response = await post(gateway, { ...ask, stream: true });
  t.is(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const first = (await reader.read()).value ?? '';
  t.regex(first, /^: waiting for the model, \d+ s; about \d+ s more\n\n$/);
  release();
  let rest = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
  t.regex(rest, /"content":"Hello"[\s\S]*data: \[DONE\]\n\n$/);
});

test('startGateway ends a stream that waited in vain with an error event and no end mark', async (t) => {
  const { gateway } = await begin(t, () => ({ hang: true }), { loading: { keep_alive_ms: 100, wait_ms: 350 } });
  for (const [path, mark] of [
    ['/v1/chat/completions', /\n\ndata: \{"error":\{.*"code":"service_unavailable".*\}\}\n\n$/],
    ['/v1/messages', /\n\nevent: error\ndata: \{"type":"error","error":\{"type":"(?:overloaded|api)_error".*\n\n$/],
  ] as const) {
    const text = await (await post(gateway, { ...ask, max_tokens: 5, stream: true }, {}, path)).text();
    t.regex(text, mark, path);
    t.false(text.includes('[DONE]'), path);
  }
});

test('startGateway tells a client that does not stream when to come again', async (t) => {
  const { gateway } = await begin(t, () => ({ hang: true }), { loading: { wait_ms: 50 } });
  const response = await post(gateway, ask);
  t.is(response.status, 503);
  // The guess of the first load of a life, thirty seconds.
  t.is(response.headers.get('retry-after'), '30');
  t.is((await errorOf(response)).code, 'service_unavailable');
});

test('startGateway says what a neuron refuses without its words', async (t) => {
  const body = '{"error":{"message":"Cannot read /secret/place","code":"architecture_unknown"}}';
  const refusing = await begin(t, () => ({ status: 422, body }));
  const refused = await post(refusing.gateway, ask);
  const error = await errorOf(refused);
  t.deepEqual([refused.status, error.code], [422, 'model_load_refused']);
  t.regex(error.message, /neuron 'a' refused with status 422 \(architecture_unknown\)$/);
});

test('startGateway follows an alias, and changes no other byte of the request', async (t) => {
  const { gateway, neurons } = await begin(t, () => undefined, {
    catalogue: '[[models]]\nid = "org/m"\n[aliases]\nnick = "org/m"\n',
  });
  const body =
    '{ "messages":[{"role":"user","content":"a \\"model\\": \\"nick\\" in words"}],\n "model" : "nick" , "x":{"model":"nick"}}';
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  t.is(response.status, 200);
  const sent = neurons['a']!.requests.find(({ path }) => path === '/v1/chat/completions')!;
  t.is(sent.body.toString(), body.replace('"model" : "nick"', '"model" : "org/m"'));
});

test('startGateway G3: a catalogue is read again, and a broken one changes nothing', async (t) => {
  const { gateway, file } = await begin(t, () => undefined);
  const ids = async (): Promise<string[]> => {
    const list = (await (await fetch(`${gateway.url}/v1/models`)).json()) as { data: { id: string }[] };
    return list.data.map(({ id }) => id);
  };
  t.deepEqual(await ids(), ['org/m']);
  await writeFile(file, '[[models]]\nid = "org/n"\n');
  await gateway.reload();
  t.deepEqual(await ids(), ['org/n']);
  await writeFile(file, '[[models]]\nid = "org/o"\nunknown = 1\n');
  await gateway.reload();
  t.deepEqual(await ids(), ['org/n']);
  const metrics = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
  t.regex(metrics, /cortex_catalogue_reloads_total\{outcome="ok"\} 1/);
  t.regex(metrics, /cortex_catalogue_reloads_total\{outcome="refused"\} 1/);
});

test('startGateway G3: a reload drops no request under way', async (t) => {
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { gateway, neurons, file } = await begin(t, () => gate);
  const pending = post(gateway, ask);
  await neurons['a']!.received(1);
  await writeFile(file, '[[models]]\nid = "org/m"\nvram_mb = 5\n');
  await gateway.reload();
  release();
  t.is((await pending).status, 200);
});

test('startGateway does not start on a catalogue with an unknown key, naming its line', async (t) => {
  const file = await writeCatalogue(t, '[[models]]\nid = "m"\nvram = 3\n');
  const error = await t.throwsAsync(runGateway(t, {}, { models_config: file }), { instanceOf: CortexError });
  t.regex(error?.message ?? '', /models.toml', line 3: key 'models.0.vram' is unknown/);
});

const models = [{ id: 'm', status: 'loaded' }];
const busy = {
  status: 503,
  body: '{"error":{"message":"full","code":"rate_limit_exceeded"}}',
  headers: { 'retry-after': '7' },
};

for (const status of [429, 503]) {
  test(`startGateway F6: a neuron that answers ${status} is replaced by one that has room`, async (t) => {
    const { gateway, neurons } = await runGateway(t, {
      a: { models, answer: () => ({ ...busy, status }) },
      b: { models, tokens: ['from b'] },
    });
    t.regex(await (await post(gateway, { model: 'm' })).text(), /from b/);
    t.deepEqual([neurons['a']!.requests.length, neurons['b']!.requests.length], [1, 1]);
    const metrics = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
    t.regex(metrics, /cortex_retries_total\{node="a",reason="busy"\} 1/);
  });
}

test('startGateway F6: when all neurons are full the answer of the last one is passed on as it is', async (t) => {
  const { gateway } = await runGateway(t, {
    a: { models, answer: () => busy },
    b: { models, answer: () => ({ ...busy, headers: { 'retry-after': '9' } }) },
  });
  const response = await post(gateway, { model: 'm' });
  t.deepEqual([response.status, response.headers.get('retry-after'), await response.text()], [503, '9', busy.body]);
});

test('startGateway tries a connection that went without a byte once more, where nobody else can answer', async (t) => {
  let count = 0;
  const { gateway, neurons } = await runGateway(t, {
    a: { models, tokens: ['second'], answer: () => (++count === 1 ? { reset: true } : undefined) },
  });
  t.regex(await (await post(gateway, { model: 'm' })).text(), /second/);
  t.is(neurons['a']!.requests.length, 2);
});

test('startGateway F5 and F6: an error of the request itself is not tried elsewhere', async (t) => {
  const { gateway, neurons } = await runGateway(t, {
    a: { models, answer: () => ({ status: 400, body: '{"error":{"message":"no","code":"invalid_request_body"}}' }) },
    b: { models },
  });
  t.is((await post(gateway, { model: 'm' })).status, 400);
  t.is(neurons['b']!.requests.length, 0);
});

test('startGateway counts tokens, the first of them and the time between them', async (t) => {
  const usage = '"usage":{"prompt_tokens":11,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}';
  const delta = (field: string) => `data: {"choices":[{"delta":{${field}}}]}\n\n`;
  const raw = `${delta('"role":"assistant","content":""')}${delta('"content":"x"')}${delta('"reasoning_content":"y"')}data: {"choices":[],${usage}}\n\ndata: [DONE]\n\n`;
  const { gateway } = await runGateway(t, { a: { models, answer: () => ({ steps: [{ raw }, { stop: true }] }) } });
  await (await post(gateway, { model: 'm', stream: true })).text();
  const metrics = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
  for (const [name, value] of [
    ['prompt_tokens_total', 11],
    ['completion_tokens_total', 2],
    ['cached_prompt_tokens_total', 4],
    ['time_to_first_token_seconds_count', 1],
    ['inter_token_seconds_count', 1],
  ] as const) {
    t.regex(metrics, new RegExp(`cortex_${name}\\{model="m",node="a",key=""\\} ${value}\\n`), name);
  }
});
