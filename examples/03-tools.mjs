// The model asks for a tool, we answer, it goes on. First, in another terminal: npm start
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.env.CORTEX_URL ?? 'http://127.0.0.1:31313'}/v1`, apiKey: 'none' });

const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'Get the current weather of a city.',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string', description: 'Name of the city' } },
        required: ['city'],
      },
    },
  },
];
// With a space after each colon and comma, as the tools of this toy's training answered.
const weatherOf = (city) => `{"temperature": ${city.length}, "sky": "sunny"}`;

const ask = (messages) => client.chat.completions.create({ model: 'cortex-tiny', messages, tools, temperature: 0 });

const messages = [{ role: 'user', content: 'What is the weather in Oslo?' }];
const first = (await ask(messages)).choices[0].message;
const [call] = first.tool_calls;
console.log(`the model calls ${call.function.name}(${call.function.arguments})`);

const { city } = JSON.parse(call.function.arguments);
messages.push(first, { role: 'tool', tool_call_id: call.id, content: weatherOf(city) });
console.log((await ask(messages)).choices[0].message.content.trim());
