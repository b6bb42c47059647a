import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { CortexError, systemClock } from '@helexa/core';
import test from 'ava';
import type { Dispatcher } from 'undici';
import { createFleet } from '../fleet/fleet.js';
import { type AttemptResult, attempt } from './attempt.js';

/** A client whose socket takes no more than it is told to. */
class SlowClient extends EventEmitter {
  headersSent = false;
  readonly written: string[] = [];
  ended = false;
  destroyed = false;
  status = 0;
  takes = true;
  writeHead(status: number): this {
    this.headersSent = true;
    this.status = status;
    return this;
  }
  write(bytes: Buffer | string): boolean {
    this.written.push(bytes.toString());
    return this.takes;
  }
  end(bytes?: Buffer | string): this {
    if (bytes !== undefined) this.written.push(bytes.toString());
    this.ended = true;
    return this;
  }
  destroy(): this {
    this.destroyed = true;
    return this;
  }
}

class FakeController {
  paused = false;
  aborted = false;
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  abort(): void {
    this.aborted = true;
  }
}

const start = () => {
  const client = new SlowClient();
  const controller = new FakeController() as FakeController & Dispatcher.DispatchController;
  const abort = new AbortController();
  let handler: Dispatcher.DispatchHandler = {};
  const dispatcher = {
    dispatch: (_: unknown, given: Dispatcher.DispatchHandler) => {
      handler = given;
      return true;
    },
  } as unknown as Dispatcher;
  const result = attempt({
    clock: systemClock,
    silenceMs: 60_000,
    dispatcher,
    node: createFleet([{ name: 'a', endpoint: 'http://a' }])[0]!,
    path: '/v1/chat/completions',
    headers: {},
    body: Buffer.alloc(0),
    response: client as unknown as ServerResponse,
    signal: abort.signal,
    onBytes: () => {},
  });
  handler.onRequestStart?.(controller, {});
  const head = (type: string, status = 200) => handler.onResponseStart?.(controller, status, { 'content-type': type });
  const data = (text: string) => handler.onResponseData?.(controller, Buffer.from(text));
  return {
    client,
    controller,
    abort,
    result: result as Promise<AttemptResult>,
    head,
    data,
    end: () => handler.onResponseEnd?.(controller, {}),
    error: (code: string) => handler.onResponseError?.(controller, Object.assign(new Error(code), { code })),
  };
};

test('attempt stops reading from the neuron while the client does not take bytes', async (t) => {
  const { client, controller, head, data, end, result } = start();
  head('text/event-stream');
  client.takes = false;
  data('data: 1\n\n');
  t.true(controller.paused);
  client.takes = true;
  client.emit('drain');
  t.false(controller.paused);
  data('data: [DONE]\n\n');
  end();
  t.deepEqual(await result, { kind: 'answered', status: 200 });
  t.deepEqual(client.written, ['data: 1\n\n', 'data: [DONE]\n\n']);
});

test('attempt fails without a word to the client when the neuron dies before a whole event', async (t) => {
  const { client, head, data, error, result } = start();
  head('text/event-stream');
  data('data: {"half"');
  error('UND_ERR_SOCKET');
  const outcome = await result;
  t.is(outcome.kind, 'failed');
  t.false(client.headersSent);
});

test('attempt ends a stream that dies later with an error event, without the half event and without an end mark', async (t) => {
  const { client, head, data, error, result } = start();
  head('text/event-stream');
  data('data: 1\n\ndata: {"half"');
  error('UND_ERR_SOCKET');
  const outcome = await result;
  t.is(outcome.kind, 'answered');
  t.is(client.written.length, 2);
  t.is(client.written[0], 'data: 1\n\n');
  const { error: sent } = JSON.parse(client.written[1]!.replace(/^data: /, '')) as {
    error: { code: string; src: string };
  };
  t.deepEqual([sent.code, sent.src], ['stream_interrupted', 'gateway']);
  t.false(client.written.join('').includes('[DONE]'));
  t.true(client.ended);
});

test('attempt takes a clean end without an end mark for a cut one', async (t) => {
  const { client, head, data, end, result } = start();
  head('text/event-stream');
  data('data: 1\n\n');
  end();
  const outcome = await result;
  t.is(outcome.kind === 'answered' ? outcome.error?.code : outcome.kind, 'stream_interrupted');
  t.regex(client.written[1]!, /stream_interrupted/);
});

test('attempt adds nothing to a stream that the neuron ended with its own error', async (t) => {
  const { client, head, data, end, result } = start();
  head('text/event-stream');
  data('data: {"error":{"message":"x"}}\n\n');
  end();
  t.deepEqual(await result, { kind: 'answered', status: 200 });
  t.deepEqual(client.written, ['data: {"error":{"message":"x"}}\n\n']);
});

test('attempt breaks the connection when a long answer in one piece dies', async (t) => {
  const { client, head, data, error, result } = start();
  head('application/json');
  data('x'.repeat(2 << 20));
  t.true(client.headersSent);
  error('UND_ERR_SOCKET');
  t.is((await result).kind, 'answered');
  t.true(client.destroyed);
  t.false(client.ended);
});

test('attempt can still fail over when a short answer in one piece dies', async (t) => {
  const { client, head, data, error, result } = start();
  head('application/json');
  data('{"half"');
  error('UND_ERR_SOCKET');
  t.is((await result).kind, 'failed');
  t.false(client.headersSent);
});

test('attempt refuses an event that never ends', async (t) => {
  const { controller, head, data, result } = start();
  head('text/event-stream');
  const piece = 'x'.repeat(1 << 20);
  for (let sent = 0; sent <= 33; sent++) data(piece);
  t.is((await result).kind, 'failed');
  t.true(controller.aborted);
});

test('attempt stops the neuron when the client leaves, and says why it had to stop itself', async (t) => {
  const left = start();
  left.head('text/event-stream');
  left.abort.abort();
  t.deepEqual(await left.result, { kind: 'abandoned' });
  t.true(left.controller.aborted);
  const stopped = start();
  stopped.abort.abort(new CortexError('shutting_down', {}));
  const outcome = await stopped.result;
  t.is(outcome.kind === 'failed' ? outcome.error.code : outcome.kind, 'shutting_down');
});
