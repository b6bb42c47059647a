import { type ChatCompletionResponse, tokenCount } from '@helexa/core';
import test from 'ava';
import { post, startTinyNeuron } from '../testing/tiny-neuron.js';

const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } }];
const turns = [
  { role: 'system', content: 'Be short.' },
  { role: 'user', content: 'Weather in Sofia, Zürich and 東京? 🌦' },
  {
    role: 'assistant',
    content: null,
    reasoning_content: 'I must look.',
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Sofia"}' } }],
  },
  { role: 'tool', tool_call_id: 'call_1', content: 'sunny' },
];

test('countTokens says what the usage of an answer says, at every length of a conversation', async (t) => {
  const neuron = await startTinyNeuron();
  t.teardown(() => neuron.close());
  for (const rest of [{}, { tools }, { chat_template_kwargs: { enable_thinking: true } }]) {
    for (let length = 2; length <= turns.length; length++) {
      const body = { model: 'tiny', messages: turns.slice(0, length), max_tokens: 1, ...rest };
      const { count } = tokenCount.parse(await (await post(neuron, '/tokenize', body)).json());
      const answer = (await (await post(neuron, '/v1/chat/completions', body)).json()) as ChatCompletionResponse;
      t.is(count, answer.usage.prompt_tokens);
    }
  }
});

test('countTokens refuses what an answer would be refused for', async (t) => {
  const neuron = await startTinyNeuron();
  t.teardown(() => neuron.close());
  const status = async (body: unknown) => (await post(neuron, '/tokenize', body)).status;
  t.is(await status({ model: 'absent', messages: [turns[0]] }), 404);
  t.is(await status({ model: 'tiny' }), 400);
});
