import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import test from 'ava';
import OpenAI from 'openai';
import { cortexOfTests } from '../testing/cortex-of-tests.js';
import { runCortex, startCortex } from '../testing/index.js';

const expectedFile = new URL('../../fixtures/cortex-tiny.expected.json', import.meta.url);

interface ExpectedCase {
  readonly messages: readonly { role: 'user' | 'assistant' | 'system' | 'tool'; content: string }[];
  readonly tools: readonly unknown[] | null;
  readonly template: Readonly<Record<string, unknown>>;
  readonly promptIds: readonly number[];
  readonly greedyIds: readonly number[];
  readonly text: string;
}

const { cases } = JSON.parse(readFileSync(expectedFile, 'utf8')) as { cases: readonly ExpectedCase[] };

const cortex = cortexOfTests(test);

/** The typed error; warnings may stand before it. */
const errorLine = (stderr: string) => stderr.split('\n').find((line) => line.startsWith('Error: '));

const post = (path: string, body: unknown) =>
  fetch(`${cortex().address.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

const hello = { model: 'cortex-tiny', messages: [{ role: 'user', content: 'Hello!' }], temperature: 0 };

interface Completion {
  choices: { message: { content: string | null; reasoning_content?: string }; finish_reason: string }[];
  usage: { prompt_tokens: number; completion_tokens: number };
}

test('cortex up serves the demonstration model under its id', async (t) => {
  const list = (await (await fetch(`${cortex().address.url}/v1/models`)).json()) as { data: { id: string }[] };
  t.deepEqual(
    list.data.map((model) => model.id),
    ['cortex-tiny'],
  );
});

test('a chat completion through the gateway says what transformers says', async (t) => {
  for (const one of cases) {
    const response = await post('/v1/chat/completions', {
      model: 'cortex-tiny',
      messages: one.messages,
      ...(one.tools ? { tools: one.tools } : {}),
      chat_template_kwargs: { enable_thinking: true, ...one.template },
      temperature: 0,
      max_tokens: one.greedyIds.length,
    });
    const body = (await response.json()) as Completion;
    t.is(response.status, 200, JSON.stringify(body));
    t.is(body.usage.prompt_tokens, one.promptIds.length, one.text);
    t.is(body.usage.completion_tokens, one.greedyIds.length, one.text);
  }
});

test('a streamed answer is the unstreamed one in pieces, and ends with [DONE]', async (t) => {
  const whole = (await (await post('/v1/chat/completions', hello)).json()) as Completion;
  const response = await post('/v1/chat/completions', { ...hello, stream: true });
  t.is(response.headers.get('content-type')?.split(';')[0], 'text/event-stream');
  const lines = (await response.text())
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => line.slice(6));
  t.is(lines.pop(), '[DONE]');
  const deltas = lines.map(
    (line) =>
      (JSON.parse(line) as { choices: { delta: { content?: string | null } }[] }).choices[0]?.delta.content ?? '',
  );
  t.true(deltas.filter((delta) => delta !== '').length > 1);
  t.is(deltas.join(''), whole.choices[0]?.message.content ?? '');
});

test('the official openai client talks to cortex, streamed and not', async (t) => {
  const client = new OpenAI({ baseURL: `${cortex().address.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }];
  const whole = await client.chat.completions.create({ model: 'cortex-tiny', messages, temperature: 0 });
  t.regex(whole.choices[0]?.message.content ?? '', /Paris/);
  t.is(whole.choices[0]?.finish_reason, 'stop');
  let streamed = '';
  for await (const chunk of await client.chat.completions.create({
    model: 'cortex-tiny',
    messages,
    temperature: 0,
    stream: true,
  }))
    streamed += chunk.choices[0]?.delta.content ?? '';
  t.is(streamed, whole.choices[0]?.message.content ?? '');
});

test('eight requests at once get the answers they get alone', async (t) => {
  const ask = async (content: string) => {
    const response = await post('/v1/chat/completions', { ...hello, messages: [{ role: 'user', content }] });
    return ((await response.json()) as Completion).choices[0]?.message.content;
  };
  const questions = ['France', 'Germany', 'Spain', 'Italy', 'Norway', 'Sweden', 'Poland', 'Greece'].map(
    (country) => `What is the capital of ${country}?`,
  );
  const alone: unknown[] = [];
  for (const question of questions) alone.push(await ask(question));
  t.deepEqual(await Promise.all(questions.map(ask)), alone);
  t.is(new Set(alone).size, questions.length);
});

test('an unknown model is an OpenAI error that names it', async (t) => {
  const response = await post('/v1/chat/completions', { ...hello, model: 'nobody' });
  const body = (await response.json()) as { error: { code: string; message: string } };
  t.is(response.status, 404);
  t.is(body.error.code, 'model_not_found');
  t.regex(body.error.message, /'nobody'/);
});

test('a port in use is one typed line and its exit code', async (t) => {
  const port = new URL(cortex().address.url).port;
  const end = await runCortex(['up', '--port', port, '--neuron-port', '0', '--metrics-port', '0']);
  t.is(end.code, 69);
  t.is(errorLine(end.stderr), `Error: Cannot listen on '127.0.0.1:${port}': the port is in use`);
  t.false(end.stderr.includes('    at '), 'no stack trace');
});

test('cortex status lists the model, as text and as JSON', async (t) => {
  const ask = ['status', '--endpoint', cortex().address.url, '--neuron', cortex().address.neuronUrl];
  const plain = await runCortex(ask);
  t.is(plain.code, 0, plain.stderr);
  t.regex(plain.stdout, /cortex-tiny/);
  t.false(plain.stdout.includes('\u001b'));
  const parsed = JSON.parse((await runCortex([...ask, '--json'])).stdout) as {
    models: { id: string }[];
    neurons: object[];
  };
  t.is(parsed.models[0]?.id, 'cortex-tiny');
  t.is(parsed.neurons.length, 1);
  t.true('health' in parsed.neurons[0]!);
});

test('cortex chat asks once and prints the answer', async (t) => {
  const ask = ['chat', '--endpoint', cortex().address.url, '--message', 'What is the capital of Norway?'];
  const plain = await runCortex(ask);
  t.is(plain.code, 0, plain.stderr);
  t.regex(plain.stdout, /Oslo/);
  const parsed = JSON.parse((await runCortex([...ask, '--json'])).stdout) as { model: string; answer: string };
  t.is(parsed.model, 'cortex-tiny');
  t.regex(parsed.answer, /Oslo/);
});

test('cortex up leaves no listener behind when it is told to end', async (t) => {
  const running = await startCortex(['--device', 'reference']);
  const end = await running.stop('SIGINT');
  t.is(end.code, 0, end.stderr);
  for (const url of [running.address.url, running.address.neuronUrl, running.address.metricsUrl]) {
    const port = Number(new URL(url).port);
    await t.notThrowsAsync(
      new Promise<void>((resolve, reject) => {
        const server = createServer().on('error', reject);
        server.listen(port, '127.0.0.1', () => server.close(() => resolve()));
      }),
    );
  }
});
