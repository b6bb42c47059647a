import Anthropic from '@anthropic-ai/sdk';
import test from 'ava';
import OpenAI from 'openai';
import { cortexOfTests } from '../testing/cortex-of-tests.js';

const cortex = cortexOfTests(test);

const anthropic = () => new Anthropic({ baseURL: cortex().address.url, apiKey: 'none', maxRetries: 0 });
const openai = () => new OpenAI({ baseURL: `${cortex().address.url}/v1`, apiKey: 'none', maxRetries: 0 });

const question = 'What is the capital of France?';
const messages = [{ role: 'user' as const, content: question }];
const request = { model: 'cortex-tiny', max_tokens: 64, temperature: 0, messages };

/** What the neuron says in its own dialect: the oracle for the others. */
const chat = async (rest: Partial<OpenAI.Chat.ChatCompletionCreateParamsNonStreaming> = {}) =>
  openai().chat.completions.create({ model: 'cortex-tiny', messages, temperature: 0, max_tokens: 64, ...rest });

test('all dialects give the same answer and the same usage, streamed and whole', async (t) => {
  const expected = await chat();
  const text = expected.choices[0]?.message.content ?? '';
  t.regex(text, /Paris/);
  for (const message of [
    await anthropic().messages.create(request),
    await anthropic().messages.stream(request).finalMessage(),
  ]) {
    t.is(message.content.map((block) => (block.type === 'text' ? block.text : '')).join(''), text);
    t.is(message.stop_reason, 'end_turn');
    const { input_tokens: computed, cache_read_input_tokens: cached, output_tokens: output } = message.usage;
    t.is(expected.usage?.prompt_tokens, computed + (cached ?? 0));
    t.is(expected.usage?.completion_tokens, output);
  }
  const input = { model: 'cortex-tiny', input: question, temperature: 0, max_output_tokens: 64 };
  for (const response of [
    await openai().responses.create(input),
    await openai().responses.stream(input).finalResponse(),
  ]) {
    t.is(response.output_text, text);
    t.is(expected.usage?.prompt_tokens, response.usage?.input_tokens);
  }
});

test('count_tokens is the usage of the answer, with a system prompt, tools and a conversation', async (t) => {
  const tools = [{ name: 'weather', description: 'Says the weather', input_schema: { type: 'object' as const } }];
  const turns: Anthropic.MessageParam[] = [
    ...messages,
    { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Zürich 🌦' } }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'sunny' }] },
  ];
  for (const rest of [{}, { system: 'Be brief.' }, { tools }, { tools, messages: turns }]) {
    const { max_tokens: _, temperature: __, ...counted } = { ...request, ...rest };
    const { input_tokens: count } = await anthropic().messages.countTokens(counted);
    const { usage } = await anthropic().messages.create({ ...request, ...rest, max_tokens: 1 });
    t.is(count, usage.input_tokens + (usage.cache_read_input_tokens ?? 0));
  }
});

test('a stop string and a cap end an answer with their own reasons', async (t) => {
  const stopped = await anthropic().messages.create({ ...request, stop_sequences: ['Paris'] });
  t.like(stopped, { stop_reason: 'stop_sequence', stop_sequence: 'Paris' });
  const capped = await anthropic()
    .messages.stream({ ...request, max_tokens: 2 })
    .finalMessage();
  t.is(capped.stop_reason, 'max_tokens');
});

test('a prompt that is too long, and an unknown model, are errors of the client that asked', async (t) => {
  const long = [{ role: 'user' as const, content: 'word '.repeat(50_000) }];
  const error = await t.throwsAsync(anthropic().messages.create({ ...request, messages: long }), {
    instanceOf: Anthropic.BadRequestError,
  });
  t.regex(error?.message ?? '', /prompt is too long: \d+ tokens > \d+ maximum/);
  await t.throwsAsync(anthropic().messages.create({ ...request, model: 'nobody/has-it' }), {
    instanceOf: Anthropic.NotFoundError,
  });
});
