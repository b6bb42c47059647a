// The official OpenAI client, streamed. First, in another terminal: npm start
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.env.CORTEX_URL ?? 'http://127.0.0.1:31313'}/v1`, apiKey: 'none' });

const stream = await client.chat.completions.create({
  model: 'cortex-tiny',
  messages: [{ role: 'user', content: 'What is the capital of Norway?' }],
  temperature: 0,
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
process.stdout.write('\n');
