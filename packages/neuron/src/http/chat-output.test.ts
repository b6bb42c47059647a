import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChatCompletionResponse, chatCompletionChunk, chatCompletionResponse } from '@helexa/core';
import test, { type ExecutionContext } from 'ava';
import { scriptedBackend } from '../testing/scripted-backend.js';
import { tinyModelPath } from '../testing/tiny-architecture.js';
import { post, readEvents, startTinyNeuron, type TinyNeuronOptions } from '../testing/tiny-neuron.js';
import { loadTokenizer } from '../text/index.js';

const tokenizer = loadTokenizer(tinyModelPath);
const tools = [
  {
    type: 'function',
    function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
  },
];
const body = { model: 'tiny', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 400 };

/** The same request whole and streamed, to a model that says `text`. */
async function ask(
  t: ExecutionContext,
  text: string,
  rest: object = {},
  headers: Record<string, string> = {},
  config: TinyNeuronOptions['config'] = {},
) {
  const script = [...tokenizer.encode(text, { special: false }), tokenizer.idOf('<|im_end|>')!];
  const neuron = await startTinyNeuron({ backends: [scriptedBackend(script)], config });
  t.teardown(() => neuron.close());
  const init = { headers: { 'content-type': 'application/json', ...headers } };
  const whole = await post(neuron, '/v1/chat/completions', { ...body, ...rest }, init);
  t.is(whole.status, 200);
  const events = await readEvents(await post(neuron, '/v1/chat/completions', { ...body, ...rest, stream: true }, init));
  t.is(events.at(-1), '[DONE]');
  const answer: ChatCompletionResponse = chatCompletionResponse.parse(await whole.json());
  const deltas = events
    .slice(0, -1)
    .flatMap((data) => chatCompletionChunk.parse(JSON.parse(data)).choices.map((choice) => choice));
  return { choice: answer.choices[0]!, usage: answer.usage, deltas };
}

test('a tool call is parsed, has a finish of its own, and streams as one complete delta', async (t) => {
  const text = 'Let me look.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Sofia"}}\n</tool_call>';
  const { choice, deltas } = await ask(t, text, { tools });
  t.is(choice.finish_reason, 'tool_calls');
  t.is(choice.message.content?.trim(), 'Let me look.');
  const [call] = choice.message.tool_calls!;
  t.is(call!.function.name, 'weather');
  t.deepEqual(JSON.parse(call!.function.arguments), { city: 'Sofia' });
  const streamed = deltas.flatMap(({ delta }) => delta.tool_calls ?? []);
  t.is(streamed.length, 1);
  t.like(streamed[0], {
    index: 0,
    type: 'function',
    function: { name: 'weather', arguments: call!.function.arguments },
  });
  t.is(deltas.at(-1)!.finish_reason, 'tool_calls');
});

test('calls without marks are parsed where the template writes them so, and an answer in JSON is not one', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'cortex-bare-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  cpSync(tinyModelPath, join(root, 'tiny'), { recursive: true });
  const template = `{# ipython {"name": "f", "parameters": {} #}{{ messages[0].content }}`;
  writeFileSync(join(root, 'tiny', 'chat_template.jinja'), template);
  const config = { models_dir: [root] };
  const call = '{"name": "weather", "parameters": {"city": "Sofia"}}';
  const called = await ask(t, `${call}; ${call}`, { tools }, {}, config);
  t.is(called.choice.finish_reason, 'tool_calls');
  t.is(called.choice.message.content, null);
  t.deepEqual(
    called.choice.message.tool_calls!.map((each) => each.function),
    [1, 2].map(() => ({ name: 'weather', arguments: '{"city": "Sofia"}' })),
  );
  const streamed = called.deltas.flatMap(({ delta }) => delta.tool_calls ?? []);
  t.deepEqual(
    streamed.map(({ index }) => index),
    [0, 1],
  );
  const other = '{"name": "Sofia", "parameters": {"city": true}}';
  const answered = await ask(t, other, { tools }, {}, config);
  t.is(answered.choice.message.content, other);
  t.is(answered.choice.finish_reason, 'stop');
});

test('a tool call is text when no tools are offered, or tool_choice is none', async (t) => {
  const text = '<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call>';
  for (const rest of [{}, { tools, tool_choice: 'none' }]) {
    const { choice } = await ask(t, text, rest);
    t.is(choice.finish_reason, 'stop');
    t.is(choice.message.tool_calls, undefined);
    t.true(choice.message.content!.includes('weather'));
  }
});

test('reasoning has its own field, is counted, and streams the same', async (t) => {
  const { choice, usage, deltas } = await ask(t, '<think>\nTwo and two.\n</think>\n\nFour.');
  t.is(choice.message.content, 'Four.');
  t.is(choice.message.reasoning_content, 'Two and two.');
  t.true(usage.completion_tokens_details!.reasoning_tokens > 0);
  t.is(deltas.map(({ delta }) => delta.content ?? '').join(''), 'Four.');
  t.is(deltas.map(({ delta }) => delta.reasoning_content ?? '').join(''), 'Two and two.');
});

test('reasoning is content between its markers when the client asks for that', async (t) => {
  const { choice, deltas } = await ask(t, '<think>\nTwo.\n</think>\n\nFour.', {}, { 'x-include-thinking': 'true' });
  t.is(choice.message.content, '<think>Two.</think>Four.');
  t.is(deltas.map(({ delta }) => delta.content ?? '').join(''), '<think>Two.</think>Four.');
});

test('a stop string ends the answer before itself, also when it falls across tokens', async (t) => {
  const { choice, deltas } = await ask(t, 'one two three four', { stop: ['wo thr'] });
  t.is(choice.message.content, 'one t');
  t.is(choice.finish_reason, 'stop');
  t.is(deltas.map(({ delta }) => delta.content ?? '').join(''), 'one t');
});

test('an answer that is cut by max_tokens says so', async (t) => {
  const { choice } = await ask(t, 'one two three four', { max_completion_tokens: 2, max_tokens: 100 });
  t.is(choice.finish_reason, 'length');
});

test('a stop string that ends an answer is named, whole and streamed; the end of a turn is not one', async (t) => {
  const met = await ask(t, 'one two three', { stop: ['six', ' two'] });
  t.like(met.choice, { finish_reason: 'stop', stop_reason: ' two' });
  t.is(met.deltas.at(-1)!.stop_reason, ' two');
  const ended = await ask(t, 'one', { stop: ['six'] });
  t.is(ended.choice.stop_reason, undefined);
  t.false('stop_reason' in ended.deltas.at(-1)!);
});
