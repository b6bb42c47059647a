import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { settle } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import { startMemoryGateway } from '../testing/memory-gateway.js';
import { openRaw, sayRaw } from '../testing/raw-socket.js';
import { errorOf, post, runGateway } from '../testing/running-gateway.js';

const models = [{ id: 'm', status: 'loaded' }];
const path = '/v1/chat/completions';
const chat = '{"model":"m","messages":[]}';

const send = (url: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close', ...headers },
    body,
  });

/** Statuses of the answers in what a server said. */
const statusesIn = (said: string): string[] => [...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status!);

// Mutation: a body is taken for whole before its last byte.
test('C3: a body that comes byte by byte is the body that the neuron gets', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: { models } });
  const socket = await openRaw(gateway.url);
  const bytes = Buffer.from(chat.replace('[]', '[{"role":"user","content":"é"}]'));
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes.length}\r\nconnection: close\r\n\r\n`);
  for (const byte of bytes) {
    socket.write(Buffer.from([byte]));
    await settle(1);
  }
  let said = '';
  for await (const chunk of socket) said += String(chunk);
  t.deepEqual(statusesIn(said), ['200']);
  t.deepEqual(neurons['a']!.requests[0]!.body, bytes);
});

// Mutation: a place is taken before the body is there.
test('C3: a body that does not come holds no place, delays nobody, and goes with its client', async (t) => {
  const memory = await startMemoryGateway(['m']);
  const { clock, gateway } = memory;
  const slow = memory.ask(path, { model: 'm', stream: true, messages: [] }, {}, true);
  const other = memory.ask(path, { model: 'm', stream: true, messages: [] });
  await clock.advance(60_000);
  t.deepEqual([other.outcome.status, slow.isOver], [200, false]);
  t.deepEqual(gateway.counts(), { waiting: 0, leased: 0, attempts: 0, open: 1 });
  slow.leave();
  await clock.advance(1);
  t.is(gateway.counts().open, 0);
});

// Mutation: closing waits for bodies.
test('C3: whoever is still sending when the gateway closes is told so', async (t) => {
  const memory = await startMemoryGateway(['m']);
  const slow = memory.ask(path, { model: 'm', messages: [] }, {}, true);
  void memory.gateway.close();
  await memory.clock.advance(6000);
  t.is(slow.outcome.status, 503);
  t.regex(slow.outcome.body, /shutting_down/);
});

// Mutation: of a field that stands there twice the first one counts.
test('C3: of two models in one body the gateway and the neuron mean the same one, and a key is held to it', async (t) => {
  const keys = [{ key: 'sk-narrow-01', account_id: 'x', allowed_models: ['m'] }];
  const two = [...models, { id: 'secret', status: 'loaded' }];
  const { gateway, neurons } = await runGateway(t, { a: { models: two } }, { entitlements: { keys } });
  const key = { authorization: 'Bearer sk-narrow-01' };
  const smuggled = ['{"model":"m","model":"secret"}', '{"model":"m","\\u006dodel":"secret"}'];
  for (const body of smuggled) {
    const response = await send(gateway.url, body, key);
    t.deepEqual([response.status, (await errorOf(response)).code], [403, 'key_not_allowed'], body);
  }
  const body = '{"model":"secret","model":"m"}';
  t.is((await send(gateway.url, body, key)).status, 200);
  t.deepEqual(
    neurons['a']!.requests.map((each) => String(each.body)),
    [body],
  );
});

// Mutation: a body is forwarded without a look at its bytes.
test('C3: bytes that are no UTF-8, and a NUL where it matters here, are refused before a neuron sees them', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: { models } });
  const of = (...bytes: number[]): Buffer =>
    Buffer.concat([Buffer.from('{"model":"m","user":"'), Buffer.from(bytes), Buffer.from('"}')]);
  for (const body of [of(0xc3, 0x28), of(0xed, 0xa0, 0x80), of(0xf8), Buffer.from('{"model":"m"\0}')]) {
    const response = await send(gateway.url, body);
    t.deepEqual([response.status, (await errorOf(response)).code], [400, 'malformed_json'], body.toString('hex'));
  }
  const named = await send(gateway.url, '{"model":"m\0"}');
  t.true([400, 404].includes(named.status), String(named.status));
  t.deepEqual(statusesIn(await sayRaw(gateway.url, 'GET /health HTTP/1.1\r\nhost: x\r\nx-nul: a\0b\r\n\r\n')), ['400']);
  t.is(neurons['a']!.requests.length, 0);
});

// Mutation: a connection that says nothing keeps others from being served.
test('C4: a thousand connections at once are all answered, and leave nothing behind', async (t) => {
  const { gateway } = await runGateway(t, { a: { models } });
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => openRaw(gateway.url)));
  // Half of them only ever say the beginning of a request.
  const asking = sockets.filter((_, index) => index % 2 === 0);
  for (const socket of sockets) socket.write('GET /health HTTP/1.1\r\nhost: x\r\n');
  t.is((await post(gateway, { model: 'm' })).status, 200);
  const answers = asking.map((socket) => once(socket, 'data'));
  for (const socket of asking) socket.write('connection: close\r\n\r\n');
  const said = await Promise.all(answers);
  t.true(said.every(([chunk]) => String(chunk).startsWith('HTTP/1.1 200')));
  for (const socket of sockets) socket.destroy();
  t.is((await post(gateway, { model: 'm' })).status, 200);
  t.deepEqual(gateway.counts(), { waiting: 0, leased: 0, attempts: 0, open: 0 });
});

const request11 = (body: string, more = ''): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n${more}\r\n${body}`;

// Mutation: a refused request closes its connection, or leaves its rest for the next one.
test('C5: requests that are sent without waiting are answered in their order, also after errors', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: { models } });
  const said = await sayRaw(
    gateway.url,
    [
      request11('{"model":"none"}'),
      request11(chat),
      request11('{"model":'),
      'GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n',
      request11(chat, 'connection: close\r\n'),
    ].join(''),
  );
  t.deepEqual(statusesIn(said), ['404', '200', '400', '404', '200']);
  t.is(neurons['a']!.requests.length, 2);
});

// Mutation: what a refused body has left over is read as the next request.
test('C5: after a body that was refused for its length nothing of it is taken for a request', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: { models } }, { gateway: { body_limit_bytes: 2048 } });
  const hidden = request11(chat);
  const body = `${'x'.repeat(3000)}${hidden}`;
  t.deepEqual(statusesIn(await sayRaw(gateway.url, request11(body))), ['413']);
  t.is(neurons['a']!.requests.length, 0);
});

const post11 = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
const inner = request11(chat);
const smuggled: Readonly<Record<string, string>> = {
  'a length and chunks': `${post11}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
  'chunks and a length': `${post11}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n${inner}`,
  'two lengths': `${post11}content-length: 0\r\ncontent-length: ${inner.length}\r\n\r\n${inner}`,
  'two lengths in one line': `${post11}content-length: 0, ${inner.length}\r\n\r\n${inner}`,
  'a length with a sign': `${post11}content-length: +0\r\n\r\n${inner}`,
  'a length that is no number': `${post11}content-length: 0x0\r\n\r\n${inner}`,
  'a space before the colon': `${post11}content-length : 0\r\n\r\n${inner}`,
  'an encoding that nobody knows': `${post11}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`,
  'chunks that are not last': `${post11}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${inner}`,
  'a folded header': `${post11}transfer-encoding:\r\n chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n${inner}`,
  'a chunk without a size': `${post11}transfer-encoding: chunked\r\n\r\nZ\r\n\r\n${inner}`,
  'a chunk with a negative size': `${post11}transfer-encoding: chunked\r\n\r\n-1\r\n\r\n${inner}`,
  'a chunk that is longer than its size': `${post11}transfer-encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n${inner}`,
  'a line feed alone between headers': `${post11}x: y\ncontent-length: 0\r\n\r\n${inner}`,
  'a return alone in a header': `${post11}x: y\rcontent-length: 0\r\n\r\n${inner}`,
  'a header without a name': `${post11}: x\r\n\r\n${inner}`,
  'a second line of the request': `${post11}GET /health HTTP/1.1\r\n\r\n${inner}`,
};

for (const [what, bytes] of Object.entries(smuggled)) {
  // Mutation: a parser that forgives, as `insecureHTTPParser` is.
  test(`C6: ${what}: no request is smuggled in, and the connection is closed`, async (t) => {
    const { gateway, neurons } = await runGateway(t, { a: { models } });
    const statuses = statusesIn(await sayRaw(gateway.url, bytes));
    t.deepEqual(statuses, ['400'], statuses.join(' '));
    t.is(neurons['a']!.requests.length, 0);
  });
}

/** A neuron that reads a body when it is told to. */
const slowNeuron = async (t: ExecutionContext, onPost: (asked: IncomingMessage) => Promise<unknown>) => {
  const server: Server = createServer((asked, response) => {
    const answer = (value: unknown): void =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (asked.method === 'POST') onPost(asked).then(answer, () => response.destroy());
    else if (asked.url === '/models') answer(models);
    else if (asked.url === '/health') answer({ uptime_secs: 1 });
    else answer({ hostname: 'slow', devices: [] });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const longBody = { model: 'm', messages: [{ role: 'user', content: 'é'.repeat(2 << 20) }] };

// Mutation: a time limit for sending a body.
test('F13: a neuron that is slow to read a long body gets all of it', async (t) => {
  let read = (): void => {};
  const gate = new Promise<void>((resolve) => {
    read = resolve;
  });
  let begun = (): void => {};
  const asked = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const endpoint = await slowNeuron(t, async (message) => {
    begun();
    await gate;
    return { same: JSON.stringify(await json(message)) === JSON.stringify(longBody) };
  });
  const { gateway } = await runGateway(t, {}, { neurons: [{ name: 'slow', endpoint }] });
  const answer = post(gateway, longBody);
  await asked;
  t.is(gateway.counts().attempts, 1);
  read();
  t.deepEqual(await (await answer).json(), { same: true });
});

// Mutation: a client that leaves before its body is with the neuron is not noticed.
test('F13: a neuron that never reads a long body is left when the client leaves', async (t) => {
  let begun = (_: IncomingMessage): void => {};
  const asked = new Promise<IncomingMessage>((resolve) => {
    begun = resolve;
  });
  const endpoint = await slowNeuron(t, (message) => {
    begun(message);
    return new Promise(() => {});
  });
  const { gateway } = await runGateway(t, {}, { neurons: [{ name: 'slow', endpoint }] });
  const client = request(gateway.url + path, { method: 'POST', headers: { 'content-type': 'application/json' } });
  client.on('error', () => {});
  client.end(JSON.stringify(longBody));
  const message = await asked;
  const gone = new Promise<void>((resolve) => message.socket.once('error', () => {}).once('close', () => resolve()));
  client.destroy();
  // It reads again only to learn that nobody is there.
  message.on('error', () => {}).resume();
  await gone;
  t.deepEqual(gateway.counts(), { waiting: 0, leased: 0, attempts: 0, open: 0 });
});
