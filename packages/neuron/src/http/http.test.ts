import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import {
  type ChatCompletionChunk,
  type ChatCompletionResponse,
  type CompletionResponse,
  chatCompletionChunk,
  chatCompletionResponse,
  completionResponse,
  neuronDiscovery,
  neuronHealth,
  neuronModels,
  openCheckpoint,
} from '@helexa/core';
import { settle } from '@helexa/core/testing';
import { type Backend, referenceBackend } from '@helexa/graph';
import test from 'ava';
import OpenAI from 'openai';
import type { RunningNeuron } from '../daemon.js';
import { tinyModelPath } from '../testing/tiny-architecture.js';
import { post, readEvents, startTinyNeuron } from '../testing/tiny-neuron.js';
import { loadModelText } from '../text/index.js';

const expected = JSON.parse(readFileSync(join(tinyModelPath, 'expected.json'), 'utf8')) as {
  cases: { name: string; ids: number[]; greedy: number[] }[];
};
const chat = { model: 'tiny', messages: [{ role: 'user', content: 'Hello, world!' }], max_tokens: 12 };

const plain = { model: 'tiny', prompt: 'Hello', max_tokens: 4 };
const tool = (name: string) => ({ type: 'function', function: { name } });

let neuron: RunningNeuron;
test.before(async () => {
  neuron = await startTinyNeuron();
});
test.after.always(() => neuron?.close());

const chunksOf = (events: readonly string[]): ChatCompletionChunk[] =>
  events.filter((data) => data !== '[DONE]').map((data) => chatCompletionChunk.parse(JSON.parse(data)));

test('chat completions answer the same streamed and whole, in the shapes of the contract', async (t) => {
  const body = { ...chat, temperature: 1, seed: 3, n: 2, logprobs: true, top_logprobs: 2 };
  const response = await post(neuron, '/v1/chat/completions', body);
  t.is(response.status, 200);
  const whole: ChatCompletionResponse = chatCompletionResponse.parse(await response.json());
  const streamed = { ...body, stream: true, stream_options: { include_usage: true } };
  const events = await readEvents(await post(neuron, '/v1/chat/completions', streamed));
  t.is(events.at(-1), '[DONE]');
  const chunks = chunksOf(events);
  for (const choice of whole.choices) {
    const own = chunks.flatMap((chunk) => chunk.choices.filter((each) => each.index === choice.index));
    t.is(own[0]!.delta.role, 'assistant');
    t.is(own.map((each) => each.delta.content ?? '').join(''), choice.message.content!);
    t.is(own.at(-1)!.finish_reason, choice.finish_reason);
    t.deepEqual(
      own.flatMap((each) => each.logprobs?.content ?? []),
      choice.logprobs!.content!,
    );
    t.true(choice.logprobs!.content!.every((each) => each.top_logprobs.length === 2));
    const empty = own.slice(1, -1).filter((each) => !each.delta.content && !each.delta.reasoning_content);
    t.deepEqual(empty, [], 'no delta is empty');
  }
  t.not(whole.choices[0]!.message.content, whole.choices[1]!.message.content);
  const { usage } = chunks.at(-1)!;
  t.is(chunks.at(-1)!.choices.length, 0);
  t.is(usage!.completion_tokens, whole.usage.completion_tokens);
  t.is(usage!.prompt_tokens, whole.usage.prompt_tokens);
});

test('chat completions send the role of every choice before anything else', async (t) => {
  const events = await readEvents(await post(neuron, '/v1/chat/completions', { ...chat, n: 2, stream: true }));
  const first = chunksOf(events).slice(0, 2);
  t.deepEqual(
    first.map((chunk) => [chunk.choices[0]!.index, chunk.choices[0]!.delta.role]),
    [
      [0, 'assistant'],
      [1, 'assistant'],
    ],
  );
  t.true(
    chunksOf(events).every((chunk) => chunk.choices.length > 0),
    'usage comes only when it is asked for',
  );
});

test('completions of token ids continue as the independent implementation did', async (t) => {
  const { tokenizer, stopTokens } = loadModelText(await openCheckpoint(tinyModelPath), { now: () => new Date(0) });
  for (const { name, ids, greedy: all } of expected.cases) {
    // The neuron ends where the model says that it ends; the expectation went on.
    const end = all.findIndex((token) => stopTokens.has(token));
    const greedy = end < 0 ? all : all.slice(0, end + 1);
    const body = { model: 'tiny', prompt: ids, max_tokens: greedy.length, temperature: 0 };
    const answer: CompletionResponse = completionResponse.parse(
      await (await post(neuron, '/v1/completions', body)).json(),
    );
    t.is(answer.choices[0]!.text, tokenizer.decode(greedy, { skipSpecial: true }), name);
    t.is(answer.usage!.prompt_tokens, ids.length);
  }
});

test('completions answer several prompts and choices in order, streamed and whole', async (t) => {
  const body = { model: 'tiny', prompt: ['Hello', 'world'], n: 2, max_tokens: 6, temperature: 1, seed: 1, logprobs: 1 };
  const whole: CompletionResponse = completionResponse.parse(
    await (await post(neuron, '/v1/completions', body)).json(),
  );
  t.deepEqual(
    whole.choices.map((choice) => choice.index),
    [0, 1, 2, 3],
  );
  const streamed = { ...body, stream: true, stream_options: { include_usage: true } };
  const events = await readEvents(await post(neuron, '/v1/completions', streamed));
  t.is(events.at(-1), '[DONE]');
  const chunks = events.slice(0, -1).map((data) => completionResponse.parse(JSON.parse(data)));
  for (const choice of whole.choices) {
    const own = chunks.flatMap((chunk) => chunk.choices.filter((each) => each.index === choice.index));
    t.is(own.map((each) => each.text).join(''), choice.text);
    t.deepEqual(
      own.flatMap((each) => each.logprobs?.text_offset ?? []),
      choice.logprobs!.text_offset,
    );
  }
  t.is(chunks.at(-1)!.usage!.total_tokens, whole.usage!.total_tokens);
});

test('completions take many prompts at once', async (t) => {
  const prompts = Array.from({ length: 30 }, (_, index) => [index + 1]);
  const body = { model: 'tiny', prompt: prompts, max_tokens: 2, temperature: 0 };
  const answer: CompletionResponse = completionResponse.parse(
    await (await post(neuron, '/v1/completions', body)).json(),
  );
  t.is(answer.choices.length, 30);
  t.is(answer.usage!.prompt_tokens, 30);
  t.is((await post(neuron, '/v1/completions', { ...body, prompt: Array(65).fill('a') })).status, 400);
});

test('the openai client gets answers, streams and typed errors', async (t) => {
  const client = new OpenAI({ baseURL: `${neuron.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const messages = [{ role: 'user' as const, content: 'Hello, world!' }];
  const whole = await client.chat.completions.create({ model: 'tiny', messages, max_tokens: 12, temperature: 0 });
  const stream = await client.chat.completions.create({
    model: 'tiny',
    messages,
    max_tokens: 12,
    temperature: 0,
    stream: true,
  });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  t.is(text, whole.choices[0]!.message.content!);
  t.deepEqual(
    (await client.models.list()).data.map((model) => model.id),
    ['tiny'],
  );
  const refused = await t.throwsAsync(client.chat.completions.create({ model: 'absent', messages }));
  t.true(refused instanceof OpenAI.NotFoundError);
  t.is((refused as InstanceType<typeof OpenAI.NotFoundError>).code, 'model_not_found');
});

test('a seed reproduces an answer, whatever runs beside it', async (t) => {
  const body = { ...chat, temperature: 1, seed: 42 };
  const read = async () => {
    const answer = chatCompletionResponse.parse(await (await post(neuron, '/v1/chat/completions', body)).json());
    return answer.choices[0]!.message.content;
  };
  const alone = await read();
  const noise = Array.from({ length: 6 }, (_, seed) => post(neuron, '/v1/chat/completions', { ...chat, seed }));
  t.is(await read(), alone);
  for (const response of await Promise.all(noise)) await response.text();
});

test('sampling fields change the answer', async (t) => {
  const read = async (rest: object) => {
    const body = { ...chat, max_tokens: 24, temperature: 0, ...rest };
    const answer = chatCompletionResponse.parse(await (await post(neuron, '/v1/chat/completions', body)).json());
    return answer.choices[0]!.message.content;
  };
  const plain = await read({});
  t.not(await read({ repetition_penalty: 3 }), plain);
  t.not(await read({ frequency_penalty: 2 }), plain);
  t.not(await read({ presence_penalty: 2 }), plain);
  t.not(await read({ temperature: 2, seed: 1 }), plain);
  t.is(await read({ temperature: 2, seed: 1, top_k: 1 }), plain);
  t.is(await read({ temperature: 2, seed: 1, top_p: 0 }), plain);
  t.is(await read({ temperature: 2, seed: 1, min_p: 1 }), plain);
  t.true((await read({ logit_bias: { 39: 100 } }))!.startsWith('HHH'));
  const stop = plain!.slice(3, 5);
  t.is(await read({ stop: [stop] }), plain!.slice(0, plain!.indexOf(stop)));
});

const refusals: [name: string, path: string, body: unknown, status: number, code: string, param: string | null][] = [
  ['no model', '/v1/chat/completions', { messages: chat.messages }, 400, 'missing_model_field', 'model'],
  ['model of another type', '/v1/chat/completions', { ...chat, model: 3 }, 400, 'missing_model_field', 'model'],
  ['unknown model', '/v1/chat/completions', { ...chat, model: 'other' }, 404, 'model_not_found', 'model'],
  ['no messages', '/v1/chat/completions', { model: 'tiny', messages: [] }, 400, 'invalid_request_body', 'messages'],
  [
    'bad role',
    '/v1/chat/completions',
    { ...chat, messages: [{ role: 'x', content: '' }] },
    400,
    'invalid_request_body',
    'messages[0].role',
  ],
  [
    'image',
    '/v1/chat/completions',
    { ...chat, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] },
    400,
    'vision_unsupported',
    null,
  ],
  [
    'audio',
    '/v1/chat/completions',
    { ...chat, messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] },
    400,
    'unsupported_parameter',
    'messages[0].content[0].type',
  ],
  [
    'temperature below 0',
    '/v1/chat/completions',
    { ...chat, temperature: -1 },
    400,
    'invalid_request_body',
    'temperature',
  ],
  ['top_p above 1', '/v1/chat/completions', { ...chat, top_p: 1.1 }, 400, 'invalid_request_body', 'top_p'],
  ['n of 9', '/v1/chat/completions', { ...chat, n: 9 }, 400, 'unsupported_parameter', 'n'],
  ['n of 0', '/v1/chat/completions', { ...chat, n: 0 }, 400, 'invalid_request_body', 'n'],
  ['max_tokens of 0', '/v1/chat/completions', { ...chat, max_tokens: 0 }, 400, 'invalid_request_body', 'max_tokens'],
  [
    'a schema that no grammar holds',
    '/v1/chat/completions',
    {
      ...chat,
      response_format: { type: 'json_schema', json_schema: { schema: { type: 'string', pattern: '(?=a)' } } },
    },
    400,
    'grammar_unsupported',
    'response_format',
  ],
  [
    'a strict schema with an open object',
    '/v1/chat/completions',
    { ...chat, response_format: { type: 'json_schema', json_schema: { strict: true, schema: { type: 'object' } } } },
    400,
    'grammar_unsupported',
    'response_format',
  ],
  [
    'a schema that nothing meets',
    '/v1/completions',
    { ...plain, response_format: { type: 'json_schema', json_schema: { schema: { enum: [] } } } },
    400,
    'grammar_unusable',
    'response_format',
  ],
  [
    'a required tool without tools',
    '/v1/chat/completions',
    { ...chat, tool_choice: 'required' },
    400,
    'invalid_request_body',
    'tool_choice',
  ],
  [
    'a named tool that is not offered',
    '/v1/chat/completions',
    { ...chat, tools: [tool('g')], tool_choice: { type: 'function', function: { name: 'f' } } },
    400,
    'invalid_request_body',
    'tool_choice',
  ],
  [
    'top_logprobs alone',
    '/v1/chat/completions',
    { ...chat, top_logprobs: 2 },
    400,
    'invalid_request_body',
    'top_logprobs',
  ],
  [
    'too many top_logprobs',
    '/v1/chat/completions',
    { ...chat, logprobs: true, top_logprobs: 21 },
    400,
    'invalid_request_body',
    'top_logprobs',
  ],
  [
    'bias of no token',
    '/v1/chat/completions',
    { ...chat, logit_bias: { 640: 1 } },
    400,
    'invalid_request_body',
    'logit_bias',
  ],
  ['empty stop', '/v1/chat/completions', { ...chat, stop: [''] }, 400, 'invalid_request_body', 'stop'],
  [
    'long prompt',
    '/v1/completions',
    { model: 'tiny', prompt: Array(512).fill(5) },
    400,
    'context_length_exceeded',
    'messages',
  ],
  ['echo', '/v1/completions', { model: 'tiny', prompt: 'a', echo: true }, 400, 'unsupported_parameter', 'echo'],
  ['suffix', '/v1/completions', { model: 'tiny', prompt: 'a', suffix: 'b' }, 400, 'unsupported_parameter', 'suffix'],
  ['best_of', '/v1/completions', { model: 'tiny', prompt: 'a', best_of: 3 }, 400, 'unsupported_parameter', 'best_of'],
  ['empty prompt', '/v1/completions', { model: 'tiny', prompt: '' }, 400, 'invalid_request_body', 'prompt'],
  [
    'token outside the vocabulary',
    '/v1/completions',
    { model: 'tiny', prompt: [640] },
    400,
    'invalid_request_body',
    'prompt',
  ],
  ['id with ..', '/models/load', { model_id: '../tiny' }, 400, 'model_id_invalid', null],
  ['id with NUL', '/models/load', { model_id: 'a\0b' }, 400, 'model_id_invalid', null],
  ['id with backslash', '/models/load', { model_id: 'a\\b' }, 400, 'model_id_invalid', null],
  ['absolute id', '/models/load', { model_id: '/etc' }, 400, 'model_id_invalid', null],
  ['id that is not there', '/models/load', { model_id: 'org/absent' }, 404, 'model_not_found', 'model'],
  ['unload of what is not loaded', '/models/unload', { model_id: 'absent' }, 404, 'model_not_found', 'model'],
  ['unload by an old epoch', '/models/unload', { model_id: 'tiny', epoch: 'x.1' }, 409, 'epoch_stale', null],
  ['load with another quant', '/models/load', { model_id: 'tiny', quant: 'q4_k_m' }, 409, 'model_spec_conflict', null],
  ['load over other ranks', '/models/load', { model_id: 'tiny', tensor_parallel: 2 }, 409, 'model_spec_conflict', null],
];
for (const [name, path, body, status, code, param] of refusals) {
  test(`a request is refused by name: ${name}`, async (t) => {
    const response = await post(neuron, path, body);
    const { error } = (await response.json()) as { error: { code: string; param: string | null; message: string } };
    t.like({ status: response.status, code: error.code, param: error.param }, { status, code, param });
    t.regex(error.message, /^Cannot /);
    t.true(response.headers.has('x-request-id'));
  });
}

test('a prompt beyond the context is refused with the phrase that clients look for', async (t) => {
  const response = await post(neuron, '/v1/completions', { model: 'tiny', prompt: Array(600).fill(5) });
  const { error } = (await response.json()) as { error: { message: string; prompt_len: number; max: number } };
  t.regex(
    error.message,
    /This model's maximum context length is 496 tokens\. However, your messages resulted in 600 tokens/,
  );
  t.like(error, { prompt_len: 600, max: 496 });
});

test('a body is refused when it is not JSON, not UTF-8, of another type, encoded, or too large', async (t) => {
  const small = await startTinyNeuron({ isLoaded: false, config: { body_limit_bytes: 1024 } });
  const send = async (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>) => {
    const response = await fetch(`${small.url}/v1/chat/completions`, { method: 'POST', headers, body });
    const { error } = (await response.json()) as { error: { code: string } };
    return [response.status, error.code];
  };
  const json = { 'content-type': 'application/json' };
  t.deepEqual(await send('{"model":', json), [400, 'malformed_json']);
  t.deepEqual(await send('', json), [400, 'malformed_json']);
  t.deepEqual(await send(new Uint8Array([0x22, 0xff, 0x22]), json), [400, 'malformed_json']);
  t.deepEqual(await send('{}', { 'content-type': 'text/plain' }), [415, 'unsupported_media_type']);
  t.deepEqual(await send('{}', { ...json, 'content-encoding': 'gzip' }), [415, 'unsupported_encoding']);
  t.deepEqual(await send('[]', json), [400, 'invalid_request_body']);
  t.deepEqual(await send(JSON.stringify({ model: 'x'.repeat(2000) }), json), [413, 'body_too_large']);
  await small.close();
});

test('a chunked body is refused as soon as it is over the limit, before its end', async (t) => {
  const small = await startTinyNeuron({ isLoaded: false, config: { body_limit_bytes: 1024 } });
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
    const request = httpRequest(`${small.url}/v1/completions`, { method: 'POST', headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
      request.destroy();
    });
    request.on('error', reject);
    // Never ended: the answer must not wait for the rest.
    request.write('x'.repeat(4096));
  });
  t.is(status, 413);
  await small.close();
});

test('bytes that are no HTTP get a typed answer', async (t) => {
  const { port } = new URL(neuron.url);
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write('NONSENSE\r\n\r\n'));
    let all = '';
    socket.on('data', (bytes) => {
      all += bytes;
    });
    socket.on('end', () => resolve(all));
    socket.on('error', reject);
  });
  t.regex(text, /^HTTP\/1\.1 400 /);
  t.regex(text, /"code":"malformed_http"/);
});

test('routes that are not there and methods that do not fit are typed', async (t) => {
  const absent = await fetch(`${neuron.url}/v2/chat`);
  t.is(absent.status, 404);
  t.is(((await absent.json()) as { error: { code: string } }).error.code, 'route_not_found');
  const wrong = await fetch(`${neuron.url}/v1/chat/completions`);
  t.is(wrong.status, 405);
  t.is(wrong.headers.get('allow'), 'POST');
});

test('control routes have the shapes that gateways read', async (t) => {
  const get = async (path: string) => (await fetch(`${neuron.url}${path}`)).json();
  const [model] = neuronModels.parse(await get('/models'));
  t.like(model, {
    id: 'tiny',
    status: 'loaded',
    capabilities: ['text'],
    limit: { context: 512, input: 256, output: 256 },
  });
  t.true(neuronHealth.parse(await get('/health')).models!.some((each) => each.id === 'tiny'));
  t.true(neuronDiscovery.parse(await get('/discovery')).devices!.length > 0);
  t.deepEqual(await get('/models/tiny/capabilities'), { capabilities: ['text'] });
  t.deepEqual(await get('/models/tiny/endpoint'), { url: neuron.url });
  t.is((await fetch(`${neuron.url}/models/org%2Fabsent/capabilities`)).status, 404);
  t.is((await fetch(`${neuron.url}/models/a%zz/endpoint`)).status, 404);
  t.regex(((await get('/version')) as { package_version: string }).package_version, /^\d+\.\d+\.\d+/);
  const already = await post(neuron, '/models/load', { model_id: 'tiny' });
  t.deepEqual(await already.json(), { status: 'loaded', already: true });
  const metrics = await (await fetch(`${neuron.url}/metrics`)).text();
  t.regex(metrics, /^cortex_neuron_kv_pages_free\{model="tiny"\} \d+$/m);
});

test('POST /models/load quantises as it is told, says so, and refuses a name it does not know', async (t) => {
  const own = await startTinyNeuron({ isLoaded: false });
  try {
    const unknown = await post(own, '/models/load', { model_id: 'tiny', quant: 'q8_1' });
    t.is(unknown.status, 400);
    const { error } = (await unknown.json()) as { error: { code: string; param: string; suggestion: string } };
    t.like(error, { code: 'quant_unknown', param: 'quant', suggestion: "Did you mean 'q8_0'?" });
    t.is((await post(own, '/models/load', { model_id: 'tiny', quant: 'q8_0' })).status, 200);
    const rows = (await (await fetch(`${own.url}/models`)).json()) as { id: string }[];
    t.like(rows[0], { id: 'tiny', status: 'loaded', quant: 'q8_0' });
    const answer = await post(own, '/v1/completions', { model: 'tiny', prompt: 'a', max_tokens: 2 });
    t.is(answer.status, 200);
  } finally {
    await own.close();
  }
});

test('a model is loaded once for all who ask, listed while absent, and unloaded', async (t) => {
  const own = await startTinyNeuron({ isLoaded: false });
  const statusOf = async () => neuronModels.parse(await (await fetch(`${own.url}/models`)).json())[0]!.status;
  t.is(await statusOf(), 'unloaded');
  const loads = await Promise.all([1, 2, 3].map(() => post(own, '/models/load', { model_id: 'tiny' })));
  t.deepEqual(
    loads.map((response) => response.status),
    [200, 200, 200],
  );
  t.is(await statusOf(), 'loaded');
  t.is((await post(own, '/models/unload', { model_id: 'tiny' })).status, 200);
  t.is(await statusOf(), 'unloaded');
  await own.close();
});

test('a hundred clients that leave at any moment leave no slot and no page behind', async (t) => {
  const own = await startTinyNeuron();
  t.teardown(() => own.close());
  const storms = Array.from({ length: 100 }, async (_, index) => {
    const abort = new AbortController();
    const isStreamed = index % 3 !== 0;
    const body = { ...chat, max_tokens: 400, seed: index, stream: isStreamed, n: 1 + (index % 2) };
    // Some leave while they connect, wait for a slot, or wait for a whole answer; others while they read a stream.
    const leaving = isStreamed ? null : settle(index).then(() => abort.abort());
    try {
      const response = await post(own, '/v1/chat/completions', body, { signal: abort.signal });
      const reader = response.body!.getReader();
      for (let reads = 0; reads <= index % 7; reads++) await reader.read();
      abort.abort();
    } catch (error) {
      t.is((error as Error).name, 'AbortError');
    }
    await leaving;
  });
  await Promise.all(storms);
  const load = async () => {
    const { models } = (await (await fetch(`${own.url}/health`)).json()) as {
      models: { in_flight: number; queue_depth: number; kv_pages: { used: number; reserved: number } }[];
    };
    return models[0]!;
  };
  let now = await load();
  for (let turn = 0; turn < 500 && now.in_flight + now.queue_depth > 0; turn++) {
    await settle();
    now = await load();
  }
  t.like(now, { in_flight: 0, queue_depth: 0 });
  t.like(now.kv_pages, { used: 0, reserved: 0 });
  t.is((await post(own, '/v1/chat/completions', chat)).status, 200);
});

/** The reference backend whose models fail at their `n`th step. */
function failingBackend(n: number): Backend {
  const inner = referenceBackend();
  return {
    ...inner,
    async load(spec) {
      const model = await inner.load(spec);
      let steps = 0;
      const step = model.step.bind(model);
      model.step = () => (++steps === n ? Promise.reject(new Error('the device is gone')) : step());
      return model;
    },
  };
}

test('a device that fails ends streams with an error and no end mark, and the model is reported as failed', async (t) => {
  const own = await startTinyNeuron({ backends: [failingBackend(5)] });
  t.teardown(() => own.close());
  const events = await readEvents(await post(own, '/v1/chat/completions', { ...chat, temperature: 0, stream: true }));
  const last = JSON.parse(events.at(-1)!) as { error: { code: string } };
  t.is(last.error.code, 'device_failed');
  t.false(events.includes('[DONE]'));
  const [row] = neuronModels.parse(await (await fetch(`${own.url}/models`)).json());
  t.is(row!.status, 'failed');
  const after = await post(own, '/v1/chat/completions', chat);
  t.is(after.status, 503);
  t.is(((await after.json()) as { error: { code: string } }).error.code, 'model_failed');
  // Loading it again makes it whole.
  t.is((await post(own, '/models/load', { model_id: 'tiny' })).status, 200);
});

test('close ends running streams with shutting_down and no end mark, within its deadline', async (t) => {
  const own = await startTinyNeuron({ config: { drain_ms: 1 } });
  const response = await post(own, '/v1/chat/completions', {
    ...chat,
    max_tokens: 400,
    temperature: 0,
    stream: true,
    n: 4,
  });
  const reading = readEvents(response);
  await own.close();
  const events = await reading;
  t.is((JSON.parse(events.at(-1)!) as { error: { code: string } }).error.code, 'shutting_down');
  t.false(events.includes('[DONE]'));
  await t.throwsAsync(fetch(`${own.url}/version`));
});

test('startNeuron refuses a port that is in use, and disposes the backends it was given', async (t) => {
  const { port } = new URL(neuron.url);
  let disposed = 0;
  const backend: Backend = {
    ...referenceBackend(),
    dispose: async () => {
      disposed += 1;
    },
  };
  const start = startTinyNeuron({ backends: [backend], config: { listen: `127.0.0.1:${port}` } });
  await t.throwsAsync(start, { code: 'port_in_use' });
  t.is(disposed, 1);
});

test('startNeuron answers with an absolute path of the configuration under its last part', async (t) => {
  const own = await startTinyNeuron({ config: { models_dir: [], default_models: [{ model_id: tinyModelPath }] } });
  t.is((await post(own, '/v1/chat/completions', chat)).status, 200);
  await own.close();
});
