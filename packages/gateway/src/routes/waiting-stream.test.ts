import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import type { FakeAnswer } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import { problemsOfAnthropic } from '../testing/legal-anthropic.js';
import { problemsOfResponses } from '../testing/legal-responses.js';
import { post, runGateway } from '../testing/running-gateway.js';
import { readFrames } from '../testing/translate-bytes.js';

/** A gateway whose one model has to be loaded first; `load` answers for the neuron, and what is loaded is listed then. */
const begin = async (t: ExecutionContext, load: () => FakeAnswer | Promise<unknown>, loading: object) => {
  const folder = await mkdtemp(join(tmpdir(), 'catalogue-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'models.toml');
  await writeFile(file, '[[models]]\nid = "org/m"\n');
  const own: { setLoaded?: () => void } = {};
  const answer = ({ path }: { readonly path: string }): FakeAnswer | undefined => {
    if (path !== '/models/load') return undefined;
    const scripted = load();
    if (!(scripted instanceof Promise)) return scripted;
    own.setLoaded?.();
    return { steps: [{ wait: scripted }, { raw: '' }, { stop: true }] };
  };
  const { gateway, neurons } = await runGateway(t, { a: { models: [], answer } }, { models_config: file, loading });
  own.setLoaded = () => neurons['a']?.setModels([{ id: 'org/m', status: 'loaded' }]);
  return gateway;
};

const message = { model: 'org/m', max_tokens: 9, messages: [{ role: 'user' as const, content: 'hi' }] };
const response = { model: 'org/m', input: 'hi' };

test('a stream that waits for its model is one legal stream: its start, pings, and the answer', async (t) => {
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const gateway = await begin(t, () => gate, { keep_alive_ms: 100 });
  const answered = await post(gateway, { ...message, stream: true }, {}, '/v1/messages');
  const reader = (answered.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value ?? '';
  t.regex(text, /^event: message_start\n[\s\S]*event: ping\n/);
  release();
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
  t.deepEqual(problemsOfAnthropic(readFrames(text)), []);
  t.regex(text, /Hello/);
});

test('a stream that waited in vain ends with the error of its dialect, in a legal sequence', async (t) => {
  const gateway = await begin(t, () => ({ hang: true }), { keep_alive_ms: 100, wait_ms: 350 });
  const messages = await (await post(gateway, { ...message, stream: true }, {}, '/v1/messages')).text();
  t.deepEqual(problemsOfAnthropic(readFrames(messages)), []);
  t.regex(messages, /event: error\ndata: .*\n\n$/);
  const responses = await (await post(gateway, { ...response, stream: true }, {}, '/v1/responses')).text();
  t.regex(responses, /^: waiting for the model/);
  t.deepEqual(problemsOfResponses(readFrames(responses)), []);
  t.regex(responses, /event: response\.failed\ndata: .*"code":"service_unavailable".*\n\n$/);
  const client = new Anthropic({ baseURL: gateway.url, apiKey: 'k', maxRetries: 0 });
  await t.throwsAsync(client.messages.stream(message).finalMessage(), { instanceOf: Anthropic.APIError });
});

test('a model that is not loaded is never a 404 for a client that would then ask again without a stream', async (t) => {
  const gateway = await begin(t, () => ({ hang: true }), { wait_ms: 50 });
  for (const path of ['/v1/messages', '/v1/messages/count_tokens']) {
    const { status, headers } = await post(gateway, message, {}, path);
    t.is(status, 503);
    t.truthy(headers.get('retry-after'));
  }
});
