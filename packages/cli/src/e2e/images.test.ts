import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { qwen35 } from '@helexa/arch-qwen3-next';
import { type ChatCompletionResponse, neuronConfigSchema, systemClock } from '@helexa/core';
import { createArchitectureRegistry } from '@helexa/graph';
import {
  decodeImage,
  Engine,
  expandPrompt,
  type GenerationRequest,
  loadModel,
  prepareRgb,
  type RunningNeuron,
  startNeuron,
  systemEffects,
} from '@helexa/neuron';
import test from 'ava';
import { backendMakers, openBackend } from '../backends.js';
import { makePng } from '../testing/make-png.js';

const pathOf = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const modelPath = pathOf('arch-qwen3-next/fixtures/dense');
const images = pathOf('neuron/fixtures/vision');
const [expected] = (
  JSON.parse(readFileSync(`${images}/cases.json`, 'utf8')) as {
    prompts: readonly { idsBeforeExpansion: number[]; greedy: number[] }[];
  }
).prompts;

const backend = openBackend({ device: 'cpu' }, () => {}, await backendMakers());
const running: RunningNeuron[] = [];
test.after.always(async () => {
  for (const neuron of running) await neuron.close();
  await backend.dispose();
});

for (const maxRows of [8, 256])
  test(`Engine continues a prompt with an image as the reference does, ${maxRows} rows a step`, async (t) => {
    const loaded = await loadModel({
      path: modelPath,
      registry: createArchitectureRegistry([qwen35]),
      backend,
      kvFormat: 'F32',
      limits: { maxRows, maxSequences: 2, maxContext: 256, pages: 8 },
    });
    const engine = new Engine({
      modelId: 'dense',
      device: loaded.device,
      vision: loaded.images!.facts,
      reuse: 'none',
      maxBufferedEvents: 64,
      stepTimeoutMs: 60_000,
      effects: systemEffects(systemClock, { onStep: () => {}, onFailed: () => {} }),
    });
    const image = await prepareRgb(await decodeImage(readFileSync(`${images}/image-0.png`)), loaded.images!);
    const tokens: number[] = [];
    const request: GenerationRequest = {
      ...expandPrompt(expected!.idsBeforeExpansion, [image], loaded.images!.facts),
      maxTokens: expected!.greedy.length,
      choices: 1,
      sampling: {
        temperature: 0,
        topK: 0,
        topP: 1,
        minP: 0,
        repetitionPenalty: 1,
        presencePenalty: 0,
        frequencyPenalty: 0,
        bias: [],
        topLogprobs: null,
      },
      seed: 0n,
      stopTokens: new Set(),
      openSink: () => ({
        push: (token) => {
          tokens.push(token);
          return { events: [], isStopped: false };
        },
        end: () => [],
        reasoningTokens: 0,
      }),
      signal: new AbortController().signal,
    };
    for await (const _ of engine.generate(request));
    t.deepEqual(tokens, expected!.greedy);
    await engine.close();
    await loaded.dispose();
  });

async function startSeeing(engine: object): Promise<RunningNeuron> {
  const neuron = await startNeuron({
    architectures: [qwen35],
    backends: [backend],
    config: neuronConfigSchema.parse({
      listen: '127.0.0.1:0',
      models_dir: [dirname(modelPath)],
      default_models: [{ model_id: 'dense' }],
      engine: { max_rows: 128, max_sequences: 2, max_context: 512, kv_pages: 16, ...engine },
    }),
  });
  running.push(neuron);
  await neuron.loadModel('dense');
  return neuron;
}

const ask = async (neuron: RunningNeuron, url: string) => {
  const response = await fetch(`${neuron.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'dense',
      temperature: 0,
      max_tokens: 8,
      logprobs: true,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url } },
            { type: 'text', text: 'What is this?' },
          ],
        },
      ],
    }),
  });
  const body = (await response.json()) as ChatCompletionResponse & { readonly error: { readonly code: string } };
  return { status: response.status, body };
};

const uri = (bytes: Buffer): string => `data:image/png;base64,${bytes.toString('base64')}`;
const lines = uri(makePng(320, 320, (x, y) => [x & 255, y & 255, ((x >> 4) & 1) * 200]));
const rings = uri(makePng(320, 320, (x, y) => [Math.hypot(x - 160, y - 160) & 255, 40, (x * y) & 255]));
const logprobsOf = (body: ChatCompletionResponse) => body.choices[0]!.logprobs?.content?.map((each) => each.logprob);

test('a neuron answers about an image, and never about the one that it saw before', async (t) => {
  const [caching, forgetting] = [await startSeeing({}), await startSeeing({ prefix_cache: false })];
  const first = await ask(caching, lines);
  t.is(first.status, 200, JSON.stringify(first.body));
  // 320 by 320 pixels are 10 by 10 blocks.
  t.true(first.body.usage.prompt_tokens > 100 && first.body.usage.prompt_tokens < 140);
  const again = await ask(caching, lines);
  t.deepEqual(logprobsOf(again.body), logprobsOf(first.body));
  t.true((again.body.usage.prompt_tokens_details?.cached_tokens ?? 0) >= 64, 'the same image is found again');
  const other = await ask(caching, rings);
  const alone = await ask(forgetting, rings);
  t.is(other.body.usage.prompt_tokens_details?.cached_tokens ?? 0, 0);
  t.deepEqual(logprobsOf(other.body), logprobsOf(alone.body));
  t.notDeepEqual(logprobsOf(other.body), logprobsOf(first.body));
});

test('a neuron says that a model takes images, and refuses the addresses that it does not read', async (t) => {
  const neuron = await startSeeing({});
  const { capabilities } = (await (await fetch(`${neuron.url}/models/dense/capabilities`)).json()) as {
    capabilities: readonly string[];
  };
  t.deepEqual(capabilities, ['text', 'vision']);
  for (const url of ['https://example.com/a.png', 'data:image/png;base64,AAAA']) {
    const { status, body } = await ask(neuron, url);
    t.is(status, 400);
    t.is(body.error.code, 'image_invalid');
  }
});

test('a neuron that is told to serve no images refuses them', async (t) => {
  const neuron = await startSeeing({ max_image_pixels: 0 });
  const { status, body } = await ask(neuron, lines);
  t.is(status, 400);
  t.is(body.error.code, 'vision_unsupported');
});
