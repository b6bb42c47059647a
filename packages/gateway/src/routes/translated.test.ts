import Anthropic from '@anthropic-ai/sdk';
import { type AnthropicMessage, type GatewayConfig, gatewayConfigSchema, type ResponsesResponse } from '@helexa/core';
import {
  type FakeAnswer,
  FakeClock,
  type FakeNeuron,
  type FakeNeuronOptions,
  startFakeNeuron,
} from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import OpenAI from 'openai';
import { pino } from 'pino';
import { startGateway } from '../gateway.js';
import { problemsOfAnthropic } from '../testing/legal-anthropic.js';
import { problemsOfResponses } from '../testing/legal-responses.js';
import { bytesOf, chunksOf, type NeuronAnswer, usageOf, wholeOf } from '../testing/neuron-answer.js';
import { readFrames } from '../testing/translate-bytes.js';
import { signThoughts } from '../translate/signature.js';

const example: NeuronAnswer = {
  reasoning: ['Let me ', 'think 🤔.'],
  text: ['Grüße, ', '東京! '],
  calls: [
    { id: 'call_a', name: 'weather', arguments: ['{"city":', '"Sofia"}'] },
    { id: 'call_b', name: 'weather', arguments: ['{"city":"Zürich"}'] },
  ],
  finish: 'stop',
  stopString: null,
  usage: usageOf(812, 44, 800, 9),
};

const streamHead = { 'content-type': 'text/event-stream; charset=utf-8' };

/** What a neuron would answer to this body: the answer streamed or whole, as asked for. */
const answerWith =
  (answer: NeuronAnswer) =>
  (received: { readonly body: Buffer }): FakeAnswer => {
    const { stream } = JSON.parse(received.body.toString()) as { stream?: boolean };
    return stream
      ? { status: 200, headers: streamHead, body: bytesOf(chunksOf(answer)).toString() }
      : { status: 200, body: JSON.stringify(wholeOf(answer)) };
  };

const setUp = async (
  t: ExecutionContext,
  options: FakeNeuronOptions = {},
  { clock, ...gatewayConfig }: Partial<GatewayConfig['gateway']> & { clock?: FakeClock } = {},
) => {
  const neuron: FakeNeuron = await startFakeNeuron(options);
  const config = gatewayConfigSchema.parse({
    gateway: { listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0', poll_interval_ms: 600_000, ...gatewayConfig },
    neurons: [{ name: 'a', endpoint: neuron.url }],
  });
  const gateway = await startGateway({
    config,
    firstLookMs: 20_000,
    logger: pino({ level: 'silent' }),
    ...(clock ? { clock } : {}),
  });
  t.teardown(async () => {
    await gateway.close();
    await neuron.close();
  });
  const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  return {
    neuron,
    gateway,
    post,
    received: (at = 0) => JSON.parse(neuron.requests[at]?.body.toString() ?? 'null') as Record<string, unknown>,
    anthropic: new Anthropic({ baseURL: gateway.url, apiKey: 'not-needed', maxRetries: 0 }),
    openai: new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'not-needed', maxRetries: 0 }),
  };
};

const ask = { model: 'fake/model', max_tokens: 64, messages: [{ role: 'user' as const, content: 'hi' }] };
const tools = [{ name: 'weather', input_schema: { type: 'object' as const } }];
const thinking = { type: 'enabled' as const, budget_tokens: 1024 };

const expectedContent = [
  { type: 'thinking', thinking: 'Let me think 🤔.', signature: signThoughts('Let me think 🤔.') },
  { type: 'text', text: 'Grüße, 東京! ' },
  { type: 'tool_use', id: 'toolu_a', name: 'weather', input: { city: 'Sofia' } },
  { type: 'tool_use', id: 'toolu_b', name: 'weather', input: { city: 'Zürich' } },
];

test('the Anthropic client gets thoughts, text, parallel calls and usage, whole and streamed', async (t) => {
  const { anthropic } = await setUp(t, { answer: answerWith(example) });
  const whole = await anthropic.messages.create({ ...ask, tools, thinking });
  const streamed = await anthropic.messages.stream({ ...ask, tools, thinking }).finalMessage();
  for (const message of [whole, streamed]) {
    t.deepEqual(JSON.parse(JSON.stringify(message.content)), expectedContent);
    t.is(message.stop_reason, 'tool_use');
    t.like(message.usage, { input_tokens: 12, cache_read_input_tokens: 800, output_tokens: 44 });
  }
  t.truthy(whole._request_id);
});

test('the Anthropic client runs a conversation with tools: what it accumulates comes back to the neuron as it was', async (t) => {
  const { anthropic, received } = await setUp(t, { answer: answerWith(example) });
  const message = await anthropic.messages.stream({ ...ask, tools, thinking }).finalMessage();
  const results = message.content.flatMap((block) =>
    block.type === 'tool_use' ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: 'sunny' }] : [],
  );
  await anthropic.messages.create({
    ...ask,
    tools,
    thinking,
    messages: [...ask.messages, { role: 'assistant', content: message.content }, { role: 'user', content: results }],
  });
  const call = (id: string, city: string) => ({
    id,
    type: 'function',
    function: { name: 'weather', arguments: JSON.stringify({ city }) },
  });
  t.deepEqual(received(1)['messages'], [
    { role: 'user', content: 'hi' },
    {
      role: 'assistant',
      content: 'Grüße, 東京! ',
      reasoning_content: 'Let me think 🤔.',
      tool_calls: [call('toolu_a', 'Sofia'), call('toolu_b', 'Zürich')],
    },
    { role: 'tool', tool_call_id: 'toolu_a', content: 'sunny' },
    { role: 'tool', tool_call_id: 'toolu_b', content: 'sunny' },
  ]);
});

test('the OpenAI client gets a response whole, streamed and through its helper', async (t) => {
  const { openai } = await setUp(t, { answer: answerWith(example) });
  const request = { model: 'fake/model', input: 'hi' };
  const whole = await openai.responses.create(request);
  const streamed = await openai.responses.stream(request).finalResponse();
  const events = [];
  for await (const event of await openai.responses.create({ ...request, stream: true })) events.push(event);
  t.deepEqual(problemsOfResponses(events), []);
  for (const response of [whole, streamed]) {
    t.is(response.output_text, 'Grüße, 東京! ');
    t.deepEqual(
      response.output.map(({ type }) => type),
      ['reasoning', 'message', 'function_call', 'function_call'],
    );
    t.like(response.usage, { input_tokens: 812, output_tokens: 44, total_tokens: 856 });
    t.is(response.usage?.input_tokens_details.cached_tokens, 800);
    t.is(response.usage?.output_tokens_details.reasoning_tokens, 9);
    t.is(response.status, 'completed');
  }
});

test('the OpenAI client runs a conversation with tools: its output items come back to the neuron as one turn', async (t) => {
  const { openai, received } = await setUp(t, { answer: answerWith(example) });
  const request = { model: 'fake/model', instructions: 'Be brief.' };
  const first = await openai.responses.create({ ...request, input: 'hi' });
  const outputs = first.output.flatMap((item) =>
    item.type === 'function_call'
      ? [{ type: 'function_call_output' as const, call_id: item.call_id, output: 'sunny' }]
      : [],
  );
  const input = [{ role: 'user' as const, content: 'hi' }, ...first.output, ...outputs];
  await openai.responses.create({ ...request, input: input as OpenAI.Responses.ResponseInput });
  const call = (id: string, city: string) => ({
    id,
    type: 'function',
    function: { name: 'weather', arguments: `{"city":"${city}"}` },
  });
  t.deepEqual(received(1)['messages'], [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'hi' },
    {
      role: 'assistant',
      content: 'Grüße, 東京! ',
      reasoning_content: 'Let me think 🤔.',
      tool_calls: [call('call_a', 'Sofia'), call('call_b', 'Zürich')],
    },
    { role: 'tool', tool_call_id: 'call_a', content: 'sunny' },
    { role: 'tool', tool_call_id: 'call_b', content: 'sunny' },
  ]);
});

test('a neuron that sends its stream byte by byte, or with CRLF, is understood over the wire', async (t) => {
  for (const lineBreak of ['\n', '\r\n']) {
    const bytes = bytesOf(chunksOf(example, { usageWithFinish: true }), lineBreak);
    const steps = [...Array.from(bytes, (_, at) => ({ raw: bytes.subarray(at, at + 1) })), { stop: true as const }];
    const { anthropic, openai } = await setUp(t, { answer: () => ({ steps }) });
    const message = await anthropic.messages.stream({ ...ask, tools, thinking }).finalMessage();
    t.deepEqual(JSON.parse(JSON.stringify(message.content)), expectedContent);
    const response = await openai.responses.stream({ model: 'fake/model', input: 'hi' }).finalResponse();
    t.is(response.output_text, 'Grüße, 東京! ');
  }
});

test('thoughts are not shown to an Anthropic client that did not ask for them', async (t) => {
  const { anthropic } = await setUp(t, { answer: answerWith(example) });
  const message = await anthropic.messages.stream({ ...ask, tools }).finalMessage();
  t.deepEqual(JSON.parse(JSON.stringify(message.content)), expectedContent.slice(1));
  t.deepEqual((await anthropic.messages.create({ ...ask, tools })).content, message.content);
});

test('a stop string is named: stop_sequence for Anthropic', async (t) => {
  const stopped = { ...example, calls: [], stopString: 'END' };
  const { anthropic, received } = await setUp(t, { answer: answerWith(stopped) });
  const request = { ...ask, stop_sequences: ['END'] };
  for (const message of [
    await anthropic.messages.create(request),
    await anthropic.messages.stream(request).finalMessage(),
  ]) {
    t.like(message, { stop_reason: 'stop_sequence', stop_sequence: 'END' });
  }
  t.deepEqual(received()['stop'], ['END']);
});

test('an answer that met its cap is max_tokens for Anthropic and incomplete for Responses', async (t) => {
  const cut = { ...example, calls: [], finish: 'length' as const };
  const { anthropic, openai } = await setUp(t, { answer: answerWith(cut) });
  t.is((await anthropic.messages.create(ask)).stop_reason, 'max_tokens');
  const request = { model: 'fake/model', input: 'hi' };
  for (const response of [
    await openai.responses.create(request),
    await openai.responses.stream(request).finalResponse(),
  ]) {
    t.is(response.status, 'incomplete');
    t.deepEqual(response.incomplete_details, { reason: 'max_output_tokens' });
  }
});

test('a caller that wants one tool call at most gets one', async (t) => {
  const { anthropic, openai, received } = await setUp(t, { answer: answerWith(example) });
  const choice = { type: 'auto' as const, disable_parallel_tool_use: true };
  const message = await anthropic.messages.stream({ ...ask, tools, tool_choice: choice }).finalMessage();
  t.is(message.content.filter(({ type }) => type === 'tool_use').length, 1);
  // Our own neuron holds itself to it.
  t.is(received()['parallel_tool_calls'], false);
  const response = await openai.responses.create({ model: 'fake/model', input: 'hi', parallel_tool_calls: false });
  t.is(response.output.filter(({ type }) => type === 'function_call').length, 1);
});

test('count_tokens is what the neuron counts, without an output cap and with the tools', async (t) => {
  const { anthropic, neuron, received } = await setUp(t, { answer: () => ({ status: 200, body: '{"count":77}' }) });
  const { max_tokens: _, ...request } = ask;
  const counted = await anthropic.messages.countTokens({ ...request, tools, system: 'Be brief.' });
  t.is(counted.input_tokens, 77);
  t.is(neuron.requests[0]?.path, '/tokenize');
  t.like(received(), { model: 'fake/model', messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user' }] });
  t.is((received()['tools'] as unknown[]).length, 1);
  t.is(received()['max_tokens'], undefined);
});

test('both clients list models, each in its own shape, and Codex gets the array that it looks for', async (t) => {
  const models = [{ id: 'fake/model', status: 'loaded', limit: { context: 4096, input: 4000, output: 96 } }];
  const { anthropic, openai, gateway } = await setUp(t, { models });
  const [model] = (await anthropic.models.list()).data;
  t.like(model, {
    type: 'model',
    id: 'fake/model',
    display_name: 'fake/model',
    max_input_tokens: 4000,
    max_tokens: 96,
  });
  t.false(Number.isNaN(Date.parse(model?.created_at ?? '')));
  t.like((await openai.models.list()).data[0], { id: 'fake/model', object: 'model' });
  const plain = (await (await fetch(`${gateway.url}/v1/models`)).json()) as { object: string; models?: unknown };
  t.is(plain.object, 'list');
  t.is(plain.models, undefined);
  const codex = (await (await fetch(`${gateway.url}/v1/models?client_version=0.150.0`)).json()) as typeof plain;
  t.deepEqual([codex.object, codex.models], ['list', []]);
});

const errorOf = async (response: Response) => ({
  status: response.status,
  body: (await response.json()) as { type?: string; error: Record<string, unknown>; request_id?: string },
  headers: response.headers,
});

test('errors before an answer are said in the dialect of the path: request, routing and method', async (t) => {
  const { post, gateway } = await setUp(t);
  const cases: [string, unknown, number, string, string][] = [
    ['/v1/messages', '{', 400, 'invalid_request_error', 'malformed_json'],
    ['/v1/messages', { ...ask, max_tokens: 'many' }, 400, 'invalid_request_error', 'max_tokens'],
    ['/v1/messages', { messages: ask.messages, max_tokens: 1 }, 400, 'invalid_request_error', 'model'],
    ['/v1/messages', { ...ask, model: 'nobody/has-it' }, 404, 'not_found_error', 'nobody/has-it'],
    ['/v1/messages/count_tokens', { ...ask, model: 'nobody/has-it' }, 404, 'not_found_error', 'nobody/has-it'],
    ['/v1/messages/batches', ask, 404, 'not_found_error', '/v1/messages/batches'],
  ];
  for (const [path, body, status, type, words] of cases) {
    const { body: error, headers, ...rest } = await errorOf(await post(path, body));
    t.is(rest.status, status);
    t.is(error.type, 'error');
    t.is(error.error['type'], type);
    if (words !== 'malformed_json') t.true(String(error.error['message']).includes(words));
    t.is(error.request_id, headers.get('request-id') ?? 'absent');
  }
  const responses = await errorOf(await post('/v1/responses', { model: 'fake/model', input: 7 }));
  t.like(responses.body.error, { type: 'invalid_request_error', code: 'invalid_request_body', param: 'input' });
  const previous = await errorOf(
    await post('/v1/responses', { model: 'm', input: '', previous_response_id: 'resp_1' }),
  );
  t.like(previous.body.error, { code: 'unsupported_parameter', param: 'previous_response_id' });
  t.is(previous.status, 400);
  const method = await errorOf(await fetch(`${gateway.url}/v1/messages`));
  t.deepEqual([method.status, method.body.type], [405, 'error']);
});

test('unknown routes answer in the dialect of the headers', async (t) => {
  const { gateway } = await setUp(t);
  const asAnthropic = await errorOf(await fetch(`${gateway.url}/v1/nope`, { headers: { 'anthropic-version': 'x' } }));
  t.is(asAnthropic.body.error['type'], 'not_found_error');
  const asOpenAi = await errorOf(await fetch(`${gateway.url}/v1/nope`));
  t.is(asOpenAi.body.error['code'], 'route_not_found');
});

const refusal = (status: number, error: object, headers: Record<string, string> = {}): FakeNeuronOptions => ({
  answer: () => ({ status, headers, body: JSON.stringify({ error }) }),
});

test('a refusal of the neuron keeps its status and Retry-After, in the form of Anthropic, whole and streamed', async (t) => {
  const busy = { message: 'Cannot queue', type: 'rate_limit_error', code: 'rate_limit_exceeded', param: null };
  const { post, anthropic } = await setUp(t, refusal(503, busy, { 'retry-after': '7' }));
  for (const stream of [false, true]) {
    const { status, body, headers } = await errorOf(await post('/v1/messages', { ...ask, stream }));
    t.is(status, 503);
    t.is(headers.get('retry-after'), '7');
    t.deepEqual(body.error, { type: 'overloaded_error', message: 'Cannot queue' });
  }
  const error = await t.throwsAsync(anthropic.messages.create(ask), { instanceOf: Anthropic.InternalServerError });
  t.is(error?.type, 'overloaded_error');
  t.truthy(error?.requestID);
});

test('a prompt that is too long is said in the words that make a client compact', async (t) => {
  const long = { message: 'm', type: 'invalid_request_error', code: 'context_length_exceeded', prompt_len: 9, max: 8 };
  const { anthropic, openai } = await setUp(t, refusal(400, long));
  const error = await t.throwsAsync(anthropic.messages.create(ask), { instanceOf: Anthropic.BadRequestError });
  t.true(error?.message.includes('prompt is too long: 9 tokens > 8 maximum'));
  const other = await t.throwsAsync(openai.responses.create({ model: 'fake/model', input: 'hi' }), {
    instanceOf: OpenAI.BadRequestError,
  });
  t.is(other?.code, 'context_length_exceeded');
});

test('an answer that is no answer is a 502 in both dialects, and its text stays inside', async (t) => {
  const { post } = await setUp(t, { answer: () => ({ status: 200, body: '<html>secret</html>' }) });
  for (const [path, body] of [
    ['/v1/messages', ask],
    ['/v1/responses', { model: 'fake/model', input: 'hi' }],
    ['/v1/messages/count_tokens', ask],
  ] as const) {
    const { status, body: error } = await errorOf(await post(path, body));
    t.is(status, 502);
    t.false(JSON.stringify(error).includes('secret'));
  }
});

test('a neuron that dies in the middle is an error in the stream of each dialect, and never an end', async (t) => {
  const head = bytesOf(chunksOf(example)).toString().split('\n\n').slice(0, 4).join('\n\n');
  for (const last of [{ die: true }, { stop: true }] as const) {
    const { anthropic, openai, post } = await setUp(t, { answer: () => ({ steps: [{ raw: `${head}\n\n` }, last] }) });
    await t.throwsAsync(anthropic.messages.stream({ ...ask, thinking }).finalMessage(), {
      instanceOf: Anthropic.APIError,
    });
    const text = await (await post('/v1/messages', { ...ask, stream: true, thinking })).text();
    t.deepEqual(problemsOfAnthropic(readFrames(text)), []);
    t.regex(text, /event: error\ndata: /);
    t.notRegex(text, /message_stop/);
    let failed: OpenAI.Responses.Response | undefined;
    for await (const event of await openai.responses.create({ model: 'fake/model', input: 'hi', stream: true })) {
      t.not(event.type, 'response.completed');
      if (event.type === 'response.failed') failed = event.response;
    }
    t.is(failed?.error?.code as string, 'stream_interrupted');
  }
});

test('an answer in one piece that is longer than what is held is translated whole', async (t) => {
  const long = { ...example, text: ['x'.repeat(3 << 20)] };
  const { anthropic } = await setUp(t, { answer: answerWith(long) });
  const message = await anthropic.messages.create(ask);
  t.is(message.content.find(({ type }) => type === 'text')?.type, 'text');
  t.true(JSON.stringify(message).length > 3 << 20);
});

const held = () => {
  let release = (): void => {};
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
};

/** Reads a stream until its text matches. */
const readUntil = async (reader: ReadableStreamDefaultReader<Uint8Array>, pattern: RegExp): Promise<string> => {
  let text = '';
  while (!pattern.test(text)) {
    const { value, done } = await reader.read();
    if (done) return text;
    text += Buffer.from(value).toString();
  }
  return text;
};

test('a silent neuron is bridged: pings after the start for Anthropic, comments for OpenAI', async (t) => {
  const clock = new FakeClock();
  const gate = held();
  const [role, ...rest] = chunksOf({ ...example, reasoning: [], calls: [] });
  const first = `data: ${JSON.stringify(role)}\n\n`;
  const steps = [{ raw: first }, { wait: gate.promise }, { raw: bytesOf(rest) }, { stop: true as const }];
  const { post } = await setUp(t, { answer: () => ({ steps }) }, { clock });
  const messages = await post('/v1/messages', { ...ask, stream: true });
  const responses = await post('/v1/responses', { model: 'fake/model', input: 'hi', stream: true });
  const readers = [messages.body?.getReader(), responses.body?.getReader()] as const;
  let text = await readUntil(readers[0] as never, /message_start[\s\S]*\n\n/);
  let other = await readUntil(readers[1] as never, /in_progress[\s\S]*\n\n/);
  for (let second = 0; second < 3; second++) {
    await clock.advance(1000);
    text += await readUntil(readers[0] as never, /event: ping\ndata: \{"type":"ping"\}\n\n/);
    other += await readUntil(readers[1] as never, /: keep-alive\n\n/);
  }
  gate.release();
  text += await readUntil(readers[0] as never, /message_stop[\s\S]*\n\n/);
  other += await readUntil(readers[1] as never, /response\.completed[\s\S]*\n\n/);
  t.deepEqual(problemsOfAnthropic(readFrames(text)), []);
  t.deepEqual(problemsOfResponses(readFrames(other)), []);
  t.is(text.match(/event: ping/g)?.length, 3);
});

test('a stream that has begun without an event gets its start before the first ping', async (t) => {
  const clock = new FakeClock();
  const gate = held();
  const rest = bytesOf(chunksOf({ ...example, calls: [] }));
  const steps = [{ raw: ': queued\n\n' }, { wait: gate.promise }, { raw: rest }, { stop: true as const }];
  const { post } = await setUp(t, { answer: () => ({ steps }) }, { clock });
  const response = await post('/v1/messages', { ...ask, stream: true });
  const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  await clock.advance(1000);
  let text = await readUntil(reader, /event: ping[\s\S]*\n\n/);
  t.regex(text, /^event: message_start\n/);
  gate.release();
  text += await readUntil(reader, /message_stop[\s\S]*\n\n/);
  t.deepEqual(problemsOfAnthropic(readFrames(text)), []);
});

test('a client that leaves in the middle stops its neuron, and nothing keeps watching for silence', async (t) => {
  const clock = new FakeClock();
  const before = clock.pending;
  const gate = held();
  const [role] = chunksOf(example);
  const steps = [{ raw: `data: ${JSON.stringify(role)}\n\n` }, { wait: gate.promise }];
  const { post, neuron } = await setUp(t, { answer: () => ({ steps }) }, { clock });
  const idle = clock.pending;
  t.true(idle >= before);
  const response = await post('/v1/messages', { ...ask, stream: true });
  const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  await readUntil(reader, /message_start/);
  // One for a ping to the client, one for a neuron that says nothing more.
  t.is(clock.pending, idle + 2);
  await reader.cancel();
  await neuron.requests[0]?.aborted;
  await clock.advance(0);
  t.is(clock.pending, idle);
  gate.release();
});

const billing = { type: 'text' as const, text: 'x-anthropic-billing-header: cc_version=2.1.0; cch=8f3a1;' };
const system = [billing, { type: 'text' as const, text: 'You are an agent.' }];

test('the billing line of a coding agent is left out and the caller told, unless the setting keeps it', async (t) => {
  const { post, received } = await setUp(t);
  const response = await post('/v1/messages', { ...ask, system });
  t.is(response.headers.get('x-cortex-stripped'), 'x-anthropic-billing-header');
  t.deepEqual((received()['messages'] as unknown[])[0], { role: 'system', content: 'You are an agent.' });
  const keeping = await setUp(t, {}, { strip_billing_header: false });
  const kept = await keeping.post('/v1/messages', { ...ask, system });
  t.is(kept.headers.get('x-cortex-stripped'), null);
  const [first] = keeping.received()['messages'] as { content: string }[];
  t.is(first?.content, `${billing.text}\nYou are an agent.`);
});

test('a caller is told what was left out of its request', async (t) => {
  const { post } = await setUp(t);
  const server = [{ type: 'web_search_20250305', name: 'web_search' }];
  const response = await post('/v1/messages', { ...ask, tools: server });
  t.is(response.status, 200);
  t.is(response.headers.get('x-cortex-ignored'), 'tools.web_search_20250305');
  t.is((await post('/v1/messages', ask)).headers.get('x-cortex-ignored'), null);
});

test('secrets and the header that would move thoughts into text do not reach the neuron; the request id does', async (t) => {
  const { post, neuron } = await setUp(t);
  const response = await post('/v1/messages?beta=true', ask, {
    'x-api-key': 'k',
    authorization: 'Bearer s',
    'x-include-thinking': 'true',
    'x-request-id': 'r-9',
    'x-claude-code-session-id': 'session',
    'anthropic-beta': 'anything-2099-01-01,else',
  });
  t.is(response.status, 200);
  t.is(response.headers.get('request-id'), 'r-9');
  const { headers, path } = neuron.requests[0] as FakeNeuron['requests'][number];
  t.is(path, '/v1/chat/completions');
  for (const name of ['x-api-key', 'authorization', 'x-include-thinking']) t.is(headers[name], undefined);
  t.deepEqual([headers['x-request-id'], headers['x-claude-code-session-id']], ['r-9', 'session']);
});

test('a stream has the headers that let nothing hold it back', async (t) => {
  const { post } = await setUp(t, { answer: answerWith(example) });
  for (const [path, body] of [
    ['/v1/messages', ask],
    ['/v1/responses', { model: 'fake/model', input: 'hi' }],
  ] as const) {
    const { headers } = await post(path, { ...body, stream: true });
    t.regex(headers.get('content-type') ?? '', /^text\/event-stream/);
    t.regex(headers.get('cache-control') ?? '', /no-cache/);
    t.is(headers.get('x-accel-buffering'), 'no');
    t.is(headers.get('content-length'), null);
    t.is(headers.get('content-encoding'), null);
  }
});

test('a neuron that fails before its first byte is replaced, as on every other route', async (t) => {
  const broken = await startFakeNeuron({ answer: () => ({ reset: true }) });
  const good = await startFakeNeuron({ answer: answerWith(example) });
  const config = gatewayConfigSchema.parse({
    gateway: { listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0', poll_interval_ms: 600_000 },
    neurons: [
      { name: 'a', endpoint: broken.url },
      { name: 'b', endpoint: good.url },
    ],
  });
  const gateway = await startGateway({ config, firstLookMs: 20_000, logger: pino({ level: 'silent' }) });
  t.teardown(async () => {
    await gateway.close();
    await Promise.all([broken.close(), good.close()]);
  });
  const client = new Anthropic({ baseURL: gateway.url, apiKey: 'k', maxRetries: 0 });
  const message = (await client.messages.stream(ask).finalMessage()) as unknown as AnthropicMessage;
  t.is(message.stop_reason, 'tool_use');
  t.is(broken.requests.length, 1);
});

test('the response of a whole answer is the last event of the stream, ids and all', async (t) => {
  const { post } = await setUp(t, { answer: answerWith(example) });
  const request = { model: 'fake/model', input: 'hi' };
  const whole = (await (await post('/v1/responses', request)).json()) as ResponsesResponse;
  const events = readFrames(await (await post('/v1/responses', { ...request, stream: true })).text());
  t.deepEqual((events.at(-1) as { response: ResponsesResponse }).response, whole);
});
