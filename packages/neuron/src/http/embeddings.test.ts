import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type EmbeddingResponse, embeddingResponse } from '@helexa/core';
import test, { type ExecutionContext } from 'ava';
import type { RunningNeuron } from '../daemon.js';
import { tinyModelPath } from '../testing/tiny-architecture.js';
import { post, startTinyNeuron } from '../testing/tiny-neuron.js';

const expected = JSON.parse(readFileSync(join(tinyModelPath, 'embedding.json'), 'utf8')) as {
  ids: number[];
  vector: number[];
};
const modules = ['Transformer', 'Pooling', 'Normalize'].map((kind, idx) => ({
  idx,
  name: `${idx}`,
  path: idx === 0 ? '' : `${idx}_${kind}`,
  type: `sentence_transformers.models.${kind}`,
}));
const lastToken = { word_embedding_dimension: 64, pooling_mode_mean_tokens: false, pooling_mode_lasttoken: true };

/** The tiny model as sentence encoders are published. */
function encoderFolder(t: ExecutionContext, pooling: object = lastToken, config: object = {}): string {
  const root = mkdtempSync(join(tmpdir(), 'cortex-encoder-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const folder = join(root, 'encoder');
  cpSync(tinyModelPath, folder, { recursive: true });
  const own = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as object;
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...own, ...config }));
  writeFileSync(join(folder, 'modules.json'), JSON.stringify(modules));
  mkdirSync(join(folder, '1_Pooling'));
  writeFileSync(join(folder, '1_Pooling', 'config.json'), JSON.stringify(pooling));
  return folder;
}

async function startEncoder(t: ExecutionContext, folder: string): Promise<RunningNeuron> {
  const neuron = await startTinyNeuron({ isLoaded: false, config: { models_dir: [dirname(folder)] } });
  t.teardown(() => neuron.close());
  await neuron.loadModel(basename(folder));
  return neuron;
}

async function embed(neuron: RunningNeuron, body: object): Promise<EmbeddingResponse> {
  const response = await post(neuron, '/v1/embeddings', { model: 'encoder', ...body });
  return embeddingResponse.parse(await response.json());
}

const vectors = ({ data }: EmbeddingResponse): number[][] => data.map(({ embedding }) => embedding as number[]);
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

test('embeddings gives the unit vector of the last row, as the reference computes it', async (t) => {
  const neuron = await startEncoder(t, encoderFolder(t));
  const answer = await embed(neuron, { input: expected.ids });
  const [vector] = vectors(answer);
  // Keys and values are kept in 16 bits; the row of the token before differs by 0.5 and more.
  const apart = Math.max(...vector!.map((value, index) => Math.abs(value - expected.vector[index]!)));
  t.true(apart < 1e-3, `${apart}`);
  t.true(Math.abs(dot(vector!, vector!) - 1) < 1e-6);
  t.deepEqual(answer.usage, { prompt_tokens: 9, total_tokens: 9 });
  const [other] = vectors(await embed(neuron, { input: expected.ids.slice(0, -1) }));
  t.true(dot(vector!, other!) < 0.99);
});

test('embeddings takes texts and ids, one or many, and answers in their order', async (t) => {
  const neuron = await startEncoder(t, encoderFolder(t));
  const texts = Array.from({ length: 11 }, (_, index) => `Text ${index}: ${'more '.repeat(index * 3)}`);
  const many = await embed(neuron, { input: texts });
  t.deepEqual(
    many.data.map(({ index }) => index),
    texts.map((_, index) => index),
  );
  for (const [index, text] of texts.entries()) {
    // Alone, and after its beginning was kept: the same numbers.
    t.deepEqual(vectors(await embed(neuron, { input: text })), [vectors(many)[index]!]);
  }
  const ids = [[1, 2, 3], expected.ids];
  t.deepEqual(vectors(await embed(neuron, { input: ids })), [
    ...vectors(await embed(neuron, { input: ids[0] })),
    ...vectors(await embed(neuron, { input: ids[1] })),
  ]);
});

test('embeddings writes base64 of little-endian float32, and cuts before it normalises', async (t) => {
  const neuron = await startEncoder(t, encoderFolder(t));
  const [whole] = vectors(await embed(neuron, { input: 'Sofia' }));
  const { data } = await embed(neuron, { input: 'Sofia', encoding_format: 'base64' });
  const bytes = Buffer.from(data[0]!.embedding as string, 'base64');
  t.deepEqual(
    whole!.map((_, index) => bytes.readFloatLE(4 * index)),
    whole,
  );
  const [cut] = vectors(await embed(neuron, { input: 'Sofia', dimensions: 16 }));
  t.is(cut!.length, 16);
  t.true(Math.abs(dot(cut!, cut!) - 1) < 1e-6);
  const head = whole!.slice(0, 16);
  t.true(Math.abs(dot(cut!, head) / Math.sqrt(dot(head, head)) - 1) < 1e-6);
});

test('embeddings refuses by name what it cannot do', async (t) => {
  const neuron = await startEncoder(t, encoderFolder(t, lastToken, { matryoshka_dimensions: [16, 32] }));
  const refusal = async (body: object, path = '/v1/embeddings') => {
    const response = await post(neuron, path, { model: 'encoder', ...body });
    const { error } = (await response.json()) as { error: { code: string; param: string | null } };
    return [response.status, error.code, error.param];
  };
  t.is(vectors(await embed(neuron, { input: 'a', dimensions: 32 }))[0]!.length, 32);
  t.deepEqual(await refusal({ input: 'a', dimensions: 8 }), [400, 'invalid_request_body', 'dimensions']);
  t.deepEqual(await refusal({ input: [] }), [400, 'invalid_request_body', 'input']);
  t.deepEqual(await refusal({ input: '' }), [400, 'invalid_request_body', 'input']);
  t.deepEqual(await refusal({ input: [[1], [640]] }), [400, 'invalid_request_body', 'input']);
  t.deepEqual(await refusal({ input: ['a', 'long '.repeat(600)] }), [400, 'context_length_exceeded', 'messages']);
  t.deepEqual((await refusal({ input: Array.from({ length: 2049 }, () => 'a') })).slice(0, 2), [
    400,
    'unsupported_parameter',
  ]);
  t.is((await refusal({ messages: [{ role: 'user', content: 'Hi' }] }, '/v1/chat/completions'))[1], 'wrong_modality');
  t.is((await refusal({ prompt: 'Hi' }, '/v1/completions'))[1], 'wrong_modality');
  const models = (await (await fetch(`${neuron.url}/v1/models`)).json()) as {
    data: { id: string; capabilities: string[] }[];
  };
  t.deepEqual(models.data.find(({ id }) => id === 'encoder')?.capabilities, ['embedding']);
});

test('embeddings are refused by a model that generates text', async (t) => {
  const neuron = await startTinyNeuron();
  t.teardown(() => neuron.close());
  const response = await post(neuron, '/v1/embeddings', { model: 'tiny', input: 'a' });
  t.is(response.status, 422);
  t.is(((await response.json()) as { error: { code: string } }).error.code, 'wrong_modality');
});

test('readPooling refuses another way of pooling before a byte of the weights is read', async (t) => {
  const mean = { ...lastToken, pooling_mode_lasttoken: false, pooling_mode_mean_tokens: true };
  const error = await t.throwsAsync(startEncoder(t, encoderFolder(t, mean)));
  t.regex(error.message, /pools by 'pooling_mode_mean_tokens'; 'pooling_mode_lasttoken' is served/);
});
