import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { Agent, type Dispatcher } from 'undici';
import { FleetDispatcher } from './fleet-dispatcher.js';

/** A server whose connections a test answers by hand. */
const serve = async (t: ExecutionContext, onSocket: (socket: Socket) => void) => {
  const server: Server = createServer(onSocket);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dispatcher = new FleetDispatcher(new Agent(), { connectTimeoutMs: 5000 });
  t.teardown(async () => {
    await dispatcher.destroy();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, dispatcher };
};

interface Heard {
  readonly said: string[];
  readonly over: Promise<void>;
  controller(): Dispatcher.DispatchController;
}

const send = (dispatcher: Dispatcher, origin: string, body = '{}', onHead = (): void => {}): Heard => {
  const said: string[] = [];
  let controller: Dispatcher.DispatchController | undefined;
  const over = new Promise<void>((resolve) => {
    dispatcher.dispatch(
      {
        origin,
        path: '/v1/chat/completions',
        method: 'POST',
        headers: { 'x-a': 'b' },
        body: Buffer.from(body),
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      {
        onRequestStart: (given) => {
          controller = given;
        },
        onResponseStart: (_, status) => {
          said.push(String(status));
          onHead();
        },
        onResponseData: (_, part) => void said.push(part.toString()),
        onResponseEnd: () => {
          said.push('end');
          resolve();
        },
        onResponseError: (_, error) => {
          said.push((error as NodeJS.ErrnoException).code ?? error.name);
          resolve();
        },
      },
    );
  });
  return { said, over, controller: () => controller as Dispatcher.DispatchController };
};

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

test('FleetDispatcher sends head and body as they are, and the next request on the same connection', async (t) => {
  const requests: string[] = [];
  let connections = 0;
  const { origin, dispatcher } = await serve(t, (socket) => {
    connections += 1;
    socket.on('data', (data) => {
      requests.push(String(data));
      socket.write(ok);
    });
  });
  for (let index = 0; index < 3; index++) {
    const { said, over } = send(dispatcher, origin, '{"a":"ü"}');
    await over;
    t.deepEqual(said, ['200', 'ok', 'end']);
  }
  t.is(connections, 1);
  const { host } = new URL(origin);
  t.is(
    requests[0],
    `POST /v1/chat/completions HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\nx-a: b\r\ncontent-length: 10\r\n\r\n{"a":"ü"}`,
  );
});

test('FleetDispatcher sends a large body whole while the other end reads slowly', async (t) => {
  const body = 'x'.repeat(3 << 20);
  let bytes = 0;
  const { origin, dispatcher } = await serve(t, (socket) => {
    socket.on('data', (data) => {
      bytes += data.length;
      socket.pause();
      setImmediate(() => socket.resume());
      if (bytes > body.length && String(data).endsWith('x')) socket.write(ok);
    });
  });
  const { said, over } = send(dispatcher, origin, body);
  await over;
  t.is(said[0], '200');
  t.true(bytes > body.length);
});

test('FleetDispatcher takes a connection no further than its server lets it', async (t) => {
  const answers = [
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok',
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nkeep-alive: timeout=1\r\n\r\nok',
    `${ok}and more that nobody asked for`,
  ];
  for (const answer of answers) {
    let connections = 0;
    const { origin, dispatcher } = await serve(t, (socket) => {
      connections += 1;
      socket.on('error', () => {});
      socket.on('data', () => void socket.write(answer));
    });
    await send(dispatcher, origin).over;
    await send(dispatcher, origin).over;
    t.is(connections, 2, answer);
  }
});

test('FleetDispatcher tells of a connection that is cut, refused, or is no HTTP', async (t) => {
  const cut = async (answer: string): Promise<string[]> => {
    const { origin, dispatcher } = await serve(t, (socket) => {
      socket.on('error', () => {});
      socket.once('data', () => void socket.end(answer));
    });
    const { said, over } = send(dispatcher, origin);
    await over;
    return said;
  };
  t.deepEqual(await cut(''), ['UND_ERR_SOCKET']);
  t.deepEqual(await cut('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok'), ['200', 'ok', 'UND_ERR_SOCKET']);
  t.deepEqual(await cut('HTTP/1.1 200 OK\r\n\r\nok'), ['200', 'ok', 'end']);
  t.deepEqual(await cut('SSH-2.0-OpenSSH\r\n\r\n'), ['HPE_INVALID_RESPONSE']);
  const { dispatcher } = await serve(t, () => {});
  const refused = send(dispatcher, 'http://127.0.0.1:1');
  await refused.over;
  t.deepEqual(refused.said, ['ECONNREFUSED']);
});

test('FleetDispatcher ends a request that is given up, and its connection with it', async (t) => {
  let closed: Promise<unknown> | undefined;
  const { origin, dispatcher } = await serve(t, (socket) => {
    closed = once(socket, 'close');
    socket.on('error', () => {});
    socket.once('data', () => void socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n'));
  });
  const gone = new DOMException('left');
  const heard: Heard = send(dispatcher, origin, '{}', () => setImmediate(() => heard.controller().abort(gone)));
  await heard.over;
  t.deepEqual(heard.said.slice(0, 2), ['200', 'a']);
  t.true(heard.controller().aborted);
  await closed;
});

test('FleetDispatcher stops reading while its handler is paused, and what is done to an ended request does nothing', async (t) => {
  const part = Buffer.alloc(1 << 20, 0x61);
  let peer: Socket | undefined;
  const { origin, dispatcher } = await serve(t, (socket) => {
    peer = socket;
    socket.on('error', () => {});
    socket.on('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${32 * part.length}\r\n\r\n`);
      for (let index = 0; index < 32; index++) socket.write(part);
    });
  });
  const heard: Heard = send(dispatcher, origin, '{}', () => heard.controller().pause());
  const length = (): number => heard.said.reduce((sum, text) => sum + (text.startsWith('a') ? text.length : 0), 0);
  await once(
    peer ?? (await new Promise<Socket>((resolve) => setImmediate(() => setImmediate(() => resolve(peer as Socket))))),
    'data',
  );
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.true(length() <= 64 << 10, String(length()));
  t.true((peer as Socket).writableLength > 0);
  heard.controller().resume();
  await heard.over;
  t.is(length(), 32 * part.length);
  const first = heard.controller();
  const second = send(dispatcher, origin);
  first.abort(new DOMException('late'));
  first.pause();
  await second.over;
  t.is(second.said.at(-1), 'end');
});
