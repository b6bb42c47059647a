import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FakeClock, settle } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import { SseStream } from './sse-stream.js';

test('SseStream sends a comment in every idle second, and none while events flow', async (t) => {
  const clock = new FakeClock();
  const { stream, text, end } = await openStream(t, clock);
  await clock.advance(2100);
  await until(() => text().split(': keep-alive').length === 3);
  await stream.send({ a: 1 });
  await clock.advance(900);
  await stream.send({ a: 2 });
  await clock.advance(900);
  await stream.finish();
  await end;
  t.is(text(), ': keep-alive\n\n: keep-alive\n\ndata: {"a":1}\n\ndata: {"a":2}\n\ndata: [DONE]\n\n');
  t.is(clock.pending, 0);
});

test('SseStream ends a failure with the error and no end mark', async (t) => {
  const { stream, text, end } = await openStream(t, new FakeClock());
  await stream.fail({ error: { code: 'x' } });
  await end;
  t.is(text(), 'data: {"error":{"code":"x"}}\n\n');
});

test('SseStream waits for a client that is behind, and lets go when it leaves', async (t) => {
  const { stream, client, abort } = await openStream(t, new FakeClock());
  client.pause();
  const block = 'x'.repeat(1 << 20);
  let sent = 0;
  const writing = (async () => {
    for (; sent < 64; sent++) await stream.send(block);
  })();
  await settle(50);
  t.true(sent < 64, 'a client that does not read holds the writer');
  client.destroy();
  abort.abort();
  await writing;
  t.is(sent, 64);
});

test('SseStream cuts a client that leaves its connection full for too long', async (t) => {
  const clock = new FakeClock();
  const { stream, client, abort } = await openStream(t, clock);
  client.pause();
  const block = 'x'.repeat(1 << 20);
  let isOver = false;
  const writing = (async () => {
    for (let sent = 0; sent < 64; sent++) await stream.send(block);
    isOver = true;
  })();
  await settle(50);
  await clock.advance(119_000);
  t.false(isOver);
  await clock.advance(1000);
  await writing;
  t.true(abort.signal.aborted);
});

async function openStream(t: ExecutionContext, clock: FakeClock) {
  const abort = new AbortController();
  const server = createServer();
  const opened = new Promise<SseStream>((resolve) => {
    server.on('request', (_, response) => {
      response.on('close', () => abort.abort());
      resolve(new SseStream(response, clock, abort.signal));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const answered = new Promise<IncomingMessage>((resolve) => {
    get(`http://127.0.0.1:${port}/`, resolve);
  });
  const [stream, client] = await Promise.all([opened, answered]);
  let all = '';
  client.setEncoding('utf8');
  client.on('data', (data: string) => {
    all += data;
  });
  client.on('error', () => {});
  const end = new Promise<void>((resolve) => client.on('end', resolve));
  return { stream, client, abort, end, text: () => all };
}

/** Lets the event loop turn until something is true; the test's own timeout bounds it. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await settle(1);
}
