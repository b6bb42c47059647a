/**
 * A neuron without an engine: it answers over real HTTP from a script, and fails on demand in every way a real one can.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chatChunks, completionChunks } from '../wire/chat-chunks.js';
import { checkpointHeader, encodeCheckpoint, type StreamResume } from '../wire/checkpoints.js';
import type { NeuronModel } from '../wire/neuron-api.js';
import type { Usage } from '../wire/openai-chat.js';
import { encodeSse, sseDone, sseHeaders } from '../wire/sse.js';

/** One thing that a scripted answer does; steps run in order. */
export type FakeStep =
  | { readonly text: string }
  /** Bytes on the wire as they are. */
  | { readonly raw: string | Uint8Array }
  /** Goes on when the promise settles; the hook for delays. */
  | { readonly wait: Promise<unknown> }
  /** Cuts the connection. */
  | { readonly die: true }
  /** Ends the response properly, with nothing more in it. */
  | { readonly stop: true };

/** What a fake neuron does with one inference request. */
export type FakeAnswer =
  /** Tokens, then a proper end. */
  | { readonly steps: readonly FakeStep[] }
  /** A response as it stands. */
  | { readonly status: number; readonly body: string; readonly headers?: Readonly<Record<string, string>> }
  /** Cuts the connection before any byte of an answer. */
  | { readonly reset: true }
  /** Never answers. */
  | { readonly hang: true };

export interface FakeRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Bytes of the body as they came. */
  readonly body: Buffer;
  /** Settles when the connection of the request closes before its answer ended. */
  readonly aborted: Promise<void>;
}

export interface FakeNeuronOptions {
  readonly models?: readonly NeuronModel[];
  /** Says checkpoints of scripts without raw bytes, and goes on from them; a text's position is its token. True when absent. */
  readonly checkpoints?: boolean;
  /** Tokens of every answer that `answer` does not script. */
  readonly tokens?: readonly string[];
  readonly answer?: (request: FakeRequest) => FakeAnswer | undefined;
  /** Holds back the answers of the control routes; cuts the connection when it rejects. */
  readonly control?: (path: string) => Promise<unknown> | undefined;
}

export interface FakeNeuron {
  readonly url: string;
  readonly port: number;
  /** Inference requests so far, oldest first. */
  readonly requests: readonly FakeRequest[];
  /** Control requests so far, by path. */
  readonly looks: readonly string[];
  setModels(models: readonly NeuronModel[]): void;
  setAnswer(answer: ((request: FakeRequest) => FakeAnswer | undefined) | undefined): void;
  /** Settles when `count` inference requests have come. */
  received(count: number): Promise<void>;
  close(): Promise<void>;
}

interface RequestFields {
  readonly model?: string;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly cortex_resume?: StreamResume;
}

const created = 1_700_000_000;

const readAll = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

const fieldsOf = (body: Buffer): RequestFields => {
  try {
    return JSON.parse(body.toString()) as RequestFields;
  } catch {
    return {};
  }
};

const sendJson = (response: ServerResponse, status: number, value: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
};

const usageOf = (texts: readonly string[]): Usage => ({
  prompt_tokens: 3,
  completion_tokens: texts.length,
  total_tokens: 3 + texts.length,
});

/** Settles when the bytes are with the system: what follows, be it a cut, comes after them. */
const sendBytes = (response: ServerResponse, bytes: string | Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    response.write(bytes, () => resolve());
  });

/** Plays the steps into a streamed answer; chat or plain. `wish` is that for checkpoints. */
const playStream = async (
  response: ServerResponse,
  steps: readonly FakeStep[],
  fields: RequestFields,
  chat: boolean,
  wish: string | undefined,
) => {
  const resume = wish === 'resume' ? fields.cortex_resume : undefined;
  const identity = { id: chat ? 'chatcmpl-fake' : 'cmpl-fake', created, ...resume, model: fields.model ?? '' };
  const chatEvents = chatChunks(identity);
  const plainEvents = completionChunks(identity);
  const send = (value: unknown, ...token: number[]): Promise<void> =>
    sendBytes(response, encodeSse(JSON.stringify(value)) + (wish ? encodeCheckpoint(token) : ''));
  response.writeHead(200, { ...sseHeaders, ...(wish ? { [checkpointHeader]: wish } : {}) });
  response.flushHeaders();
  const texts: string[] = [];
  const known = resume?.tokens.length ?? 0;
  let first = resume === undefined;
  for (const step of steps) {
    if (response.destroyed) return;
    if ('wait' in step) await step.wait;
    else if ('die' in step) return void response.destroy();
    else if ('stop' in step) return void response.end();
    else if ('raw' in step) await sendBytes(response, step.raw);
    else {
      if (first && chat) await send(chatEvents.role());
      first = false;
      texts.push(step.text);
      if (texts.length <= known) continue;
      await send(chat ? chatEvents.content(step.text) : plainEvents.text(step.text), texts.length - 1);
    }
  }
  const end = [chat ? chatEvents.finish('stop') : plainEvents.finish('stop')];
  if (fields.stream_options?.include_usage) end.push((chat ? chatEvents : plainEvents).usage(usageOf(texts)) as never);
  for (const event of end) await sendBytes(response, encodeSse(JSON.stringify(event)));
  response.end(encodeSse(sseDone));
};

/** Plays the steps into an answer in one piece. */
const playWhole = async (
  response: ServerResponse,
  steps: readonly FakeStep[],
  fields: RequestFields,
  chat: boolean,
) => {
  const texts: string[] = [];
  for (const step of steps) {
    if ('wait' in step) await step.wait;
    else if ('die' in step) return void response.destroy();
    else if ('stop' in step) return void response.end();
    else if ('raw' in step) await sendBytes(response, step.raw);
    else texts.push(step.text);
  }
  if (response.headersSent) return void response.end();
  const content = texts.join('');
  const shared = { created, model: fields.model ?? '', usage: usageOf(texts) };
  const answer = chat
    ? { index: 0, message: { role: 'assistant', content }, logprobs: null, finish_reason: 'stop' }
    : { index: 0, text: content, logprobs: null, finish_reason: 'stop' };
  const kind = chat
    ? { id: 'chatcmpl-fake', object: 'chat.completion' }
    : { id: 'cmpl-fake', object: 'text_completion' };
  sendJson(response, 200, { ...kind, ...shared, choices: [answer] });
};

/** Starts a fake neuron on a free loopback port. */
export const startFakeNeuron = async (options: FakeNeuronOptions = {}): Promise<FakeNeuron> => {
  let models = options.models ?? [{ id: 'fake/model', status: 'loaded' }];
  let answer = options.answer;
  const requests: FakeRequest[] = [];
  const looks: string[] = [];
  const waiting = new Set<{ readonly count: number; readonly resolve: () => void }>();

  const infer = async (path: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readAll(request);
    const aborted = new Promise<void>((resolve) => {
      response.once('close', () => {
        if (!response.writableFinished) resolve();
      });
    });
    const received: FakeRequest = { path, headers: request.headers, body, aborted };
    requests.push(received);
    for (const waiter of waiting) if (requests.length >= waiter.count) waiter.resolve();
    const script = answer?.(received) ?? { steps: (options.tokens ?? ['Hello', ' world']).map((text) => ({ text })) };
    const fields = fieldsOf(body);
    const chat = path === '/v1/chat/completions';
    if ('hang' in script) return;
    if ('reset' in script) return void request.socket.destroy();
    if ('status' in script) {
      response.writeHead(script.status, { 'content-type': 'application/json', ...script.headers }).end(script.body);
    } else if (fields.stream) {
      const isRaw = script.steps.some((step) => 'raw' in step);
      const wish = options.checkpoints === false || isRaw ? undefined : request.headers[checkpointHeader];
      await playStream(response, script.steps, fields, chat, wish as string | undefined);
    } else await playWhole(response, script.steps, fields, chat);
  };

  const control = async (path: string, response: ServerResponse): Promise<void> => {
    looks.push(path);
    await options.control?.(path);
    if (path === '/models') return sendJson(response, 200, models);
    if (path === '/v1/models') {
      const data = models.map(({ id }) => ({ id, object: 'model', created, owned_by: 'fake' }));
      return sendJson(response, 200, { object: 'list', data });
    }
    if (path === '/health') {
      const live = models.map(({ id }) => ({ id, in_flight: 1, queue_depth: 0, max_in_flight: 0 }));
      return sendJson(response, 200, {
        uptime_secs: 1,
        devices: [{ index: 0, vram_free_mb: 7 }],
        activation: { state: 'ready' },
        models: live,
      });
    }
    if (path === '/version') return sendJson(response, 200, { package_version: '0.0.0' });
    if (path === '/discovery')
      return sendJson(response, 200, { hostname: 'fake', os: 'none', kernel: '0', devices: [] });
    sendJson(response, 404, {
      error: { message: 'no such route', type: 'invalid_request_error', code: 'route_not_found', param: null },
    });
  };

  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] as string;
    const run = request.method === 'POST' ? infer(path, request, response) : control(path, response);
    // A fault of the script or a client that left: either way this connection is over.
    run.catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    looks,
    setModels: (next) => {
      models = next;
    },
    setAnswer: (next) => {
      answer = next;
    },
    received: (count) =>
      new Promise((resolve) => {
        if (requests.length >= count) resolve();
        else waiting.add({ count, resolve });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
