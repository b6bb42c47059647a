import {
  type ChatCompletionResponse,
  detokenizeResponse,
  systemClock,
  tokenCount,
  tokenizeResponse,
} from '@helexa/core';
import test from 'ava';
import { pino } from 'pino';
import sharp from 'sharp';
import type { ServedModel } from '../model/served-model.js';
import { fakeModel } from '../testing/fake-model.js';
import { tinyModelPath } from '../testing/tiny-architecture.js';
import { post, startTinyNeuron } from '../testing/tiny-neuron.js';
import { loadTokenizer } from '../text/index.js';
import { chatCompletions } from './chat-completions.js';
import { NeuronMetrics } from './metrics.js';
import { openHttpServer } from './server.js';
import { tokenize } from './tokenize.js';

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

test('tokenize says what the usage of an answer says, at every length of a conversation', async (t) => {
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

test('tokenize refuses what an answer would be refused for', async (t) => {
  const neuron = await startTinyNeuron();
  t.teardown(() => neuron.close());
  const status = async (body: unknown) => (await post(neuron, '/tokenize', body)).status;
  t.is(await status({ model: 'absent', messages: [turns[0]] }), 404);
  t.is(await status({ model: 'tiny' }), 400);
});

test('tokenize and detokenize take a text there and back, with the ids of the tokenizer', async (t) => {
  const neuron = await startTinyNeuron();
  t.teardown(() => neuron.close());
  const text = 'Zürich <|im_end|> 東京 🌦\n';
  const answer = await post(neuron, '/tokenize', { model: 'tiny', prompt: text, add_special_tokens: false });
  const { count, tokens, max_model_len: context } = tokenizeResponse.parse(await answer.json());
  t.deepEqual(tokens, loadTokenizer(tinyModelPath).encode(text, { special: false }));
  t.is(count, tokens.length);
  t.is(context, 512);
  const back = await post(neuron, '/detokenize', { model: 'tiny', tokens });
  t.is(detokenizeResponse.parse(await back.json()).prompt, text);
});

test('detokenize refuses an id that the model has not, and names the field', async (t) => {
  const neuron = await startTinyNeuron();
  t.teardown(() => neuron.close());
  for (const tokens of [[1, 1_000_000], [-1], [0.5], 'text']) {
    const response = await post(neuron, '/detokenize', { model: 'tiny', tokens });
    t.is(response.status, 400);
    const { error } = (await response.json()) as { error: { param: string } };
    t.true(error.param.startsWith('tokens'));
  }
});

/** Answers chat and tokenize for one model; the prompts that reach its engine are written down. */
async function serveWatched(model: ServedModel): Promise<{ url: string; prompts: number[][]; close(): Promise<void> }> {
  const prompts: number[][] = [];
  const generate = model.engine.generate.bind(model.engine);
  model.engine.generate = (request) => {
    prompts.push([...request.prompt]);
    return generate({ ...request, visual: null });
  };
  const metrics = new NeuronMetrics(() => []);
  const newId = (prefix: string) => `${prefix}1`;
  const context = { modelOf: () => model, metrics, clock: systemClock, bodyLimitBytes: 1 << 20, newId };
  const server = await openHttpServer({
    address: { host: '127.0.0.1', port: 0 },
    routes: [
      { method: 'POST', path: '/tokenize', handle: (exchange) => tokenize(exchange, context) },
      { method: 'POST', path: '/v1/chat/completions', handle: (exchange) => chatCompletions(exchange, context) },
    ],
    metrics,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    newId,
  });
  const close = async () => {
    await server.close(0);
    await model.close();
  };
  return { url: `http://127.0.0.1:${server.address.port}`, prompts, close };
}

test('tokenize gives the very ids that the engine is given for the same request, images and tools included', async (t) => {
  const imageToken = 200;
  const images = {
    facts: { patchSize: 2, temporalPatchSize: 2, channels: 3, merge: 2, featureWidth: 4, imageToken },
    minPixels: 16,
    maxPixels: 4096,
    mean: [0.5, 0.5, 0.5],
    deviation: [0.5, 0.5, 0.5],
    rescale: 1 / 255,
  } as const;
  const plain = fakeModel('seeing');
  const encodeChat: ServedModel['encodeChat'] = (prompt) =>
    plain.encodeChat(prompt).flatMap((id, at) => (at === 5 && prompt.tools === null ? [imageToken, id] : [id]));
  const server = await serveWatched({ ...plain, images, encodeChat });
  t.teardown(() => server.close());
  const png = await sharp({ create: { width: 24, height: 16, channels: 3, background: '#204060' } })
    .png()
    .toBuffer();
  const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${png.toString('base64')}` } };
  const bodies = [
    { model: 'seeing', messages: [{ role: 'user', content: [{ type: 'text', text: 'What?' }, picture] }] },
    { model: 'seeing', messages: turns, tools },
  ];
  const lengths: number[] = [];
  for (const body of bodies) {
    const send = (path: string) =>
      fetch(server.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...body, max_tokens: 1 }),
      });
    const { tokens } = tokenizeResponse.parse(await (await send('/tokenize')).json());
    t.is((await send('/v1/chat/completions')).status, 200);
    t.deepEqual(tokens, server.prompts.at(-1));
    lengths.push(tokens.filter((id) => id === imageToken).length);
  }
  // 24 x 16 pixels in patches of 2, merged by 2 x 2.
  t.deepEqual(lengths, [24, 0]);
});
