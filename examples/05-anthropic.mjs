// The official Anthropic client: tokens counted, a tool called, its answer streamed. First, in another terminal: npm start
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ baseURL: process.env.CORTEX_URL ?? 'http://127.0.0.1:31313', apiKey: 'none' });

const tools = [
  {
    name: 'get_weather',
    description: 'Get the current weather of a city.',
    input_schema: {
      type: 'object',
      properties: { city: { type: 'string', description: 'Name of the city' } },
      required: ['city'],
    },
  },
];
// With a space after each colon and comma, as the tools of this toy's training answered.
const weatherOf = (city) => `{"temperature": ${city.length}, "sky": "sunny"}`;

const conversation = {
  model: 'cortex-tiny',
  tools,
  messages: [{ role: 'user', content: 'What is the weather in Oslo?' }],
};
console.log(`${(await client.messages.countTokens(conversation)).input_tokens} tokens`);

const first = await client.messages.create({ ...conversation, max_tokens: 200, temperature: 0 });
const call = first.content.find(({ type }) => type === 'tool_use');
console.log(`the model calls ${call.name}(${JSON.stringify(call.input)})`);

const result = { type: 'tool_result', tool_use_id: call.id, content: weatherOf(call.input.city) };
conversation.messages.push({ role: 'assistant', content: first.content }, { role: 'user', content: [result] });
const stream = client.messages.stream({ ...conversation, max_tokens: 200, temperature: 0 });
stream.on('text', (text) => process.stdout.write(text));
await stream.finalMessage();
process.stdout.write('\n');
