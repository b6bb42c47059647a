import { gatewayConfigSchema } from '@helexa/core';
import { type FakeAnswer, startFakeNeuron } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import OpenAI from 'openai';
import { pino } from 'pino';
import { startGateway } from './gateway.js';

/** The official client before a gateway before a fake neuron. */
const connect = async (t: ExecutionContext, answer?: () => FakeAnswer): Promise<OpenAI> => {
  const neuron = await startFakeNeuron(answer ? { answer } : {});
  const config = gatewayConfigSchema.parse({
    gateway: { listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0', poll_interval_ms: 600_000 },
    neurons: [{ name: 'a', endpoint: neuron.url }],
  });
  const gateway = await startGateway({ config, firstLookMs: 20_000, logger: pino({ level: 'silent' }) });
  t.teardown(async () => {
    await gateway.close();
    await neuron.close();
  });
  return new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'not-needed', maxRetries: 0 });
};

const request = { model: 'fake/model', messages: [{ role: 'user' as const, content: 'hi' }] };

test('the OpenAI client gets an answer whole, streamed and from the plain route', async (t) => {
  const client = await connect(t);
  const whole = await client.chat.completions.create(request);
  t.is(whole.choices[0]?.message.content, 'Hello world');
  let text = '';
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    if (chunk.usage) t.is(chunk.usage.total_tokens, 5);
  }
  t.is(text, 'Hello world');
  t.is((await client.completions.create({ model: 'fake/model', prompt: 'hi' })).choices[0]?.text, 'Hello world');
  t.deepEqual(
    (await client.models.list()).data.map(({ id }) => id),
    ['fake/model'],
  );
});

test('the OpenAI client sees an unknown model as its own not-found error, with the request id', async (t) => {
  const client = await connect(t);
  const error = await t.throwsAsync(client.chat.completions.create({ ...request, model: 'nobody/has-it' }), {
    instanceOf: OpenAI.NotFoundError,
  });
  t.deepEqual([error?.status, error?.code, error?.param], [404, 'model_not_found', 'model']);
  t.truthy(error?.requestID);
});

test('the OpenAI client throws when a stream is cut after its first token', async (t) => {
  const client = await connect(t, () => ({ steps: [{ text: 'begun' }, { die: true }] }));
  let text = '';
  const error = await t.throwsAsync(
    (async () => {
      for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
        text += chunk.choices[0]?.delta.content ?? '';
      }
    })(),
    { instanceOf: OpenAI.APIError },
  );
  t.is(text, 'begun');
  t.is(error?.code, 'stream_interrupted');
});
