import { connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { ClientResponse } from './client-response.js';
import { startHttpServer } from './http-server.js';

const serve = async (t: ExecutionContext, answer: (response: ClientResponse, url: string) => void): Promise<string> => {
  const onRequest = ({ url = '' }: { url?: string | undefined }, response: ClientResponse): void =>
    answer(response, url);
  const server = await startHttpServer({ listen: '127.0.0.1:0', setting: 'test', onRequest });
  t.teardown(() => {
    void server.stop();
    server.cut();
  });
  return server.url;
};

/** All that comes on a connection that sends this. */
const said = (url: string, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { port, hostname } = new URL(url);
    const socket = connect(Number(port), hostname, () => socket.write(text));
    const parts: Buffer[] = [];
    socket.on('data', (part) => void parts.push(part));
    socket.on('close', () => resolve(Buffer.concat(parts).toString()));
    socket.on('error', reject);
  });

const stream = { 'content-type': 'text/event-stream' };

test('ClientResponse frames every piece by its bytes, answers pipelined requests in order, and HTTP/1.0 without frames', async (t) => {
  const url = await serve(t, (response, path) => {
    response.writeHead(200, stream);
    // The second of two requests begins before the first one is over.
    setImmediate(() => {
      response.write(Buffer.from(`${path}:ü`));
      response.write('€\n');
      response.write(Buffer.alloc(20_000, 0x61));
      response.end('z');
    });
  });
  const long = `4e20\r\n${'a'.repeat(20_000)}\r\n`;
  const both = await said(
    url,
    'GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
  );
  const bodies = both.split(/HTTP\/1\.1 200 OK\r\n[\s\S]*?\r\n\r\n/).slice(1);
  t.deepEqual(
    bodies,
    ['/1', '/2'].map((path) => `5\r\n${path}:ü\r\n4\r\n€\n\r\n${long}1\r\nz\r\n0\r\n\r\n`),
  );
  const old = await said(url, 'GET /1 HTTP/1.0\r\n\r\n');
  t.is(old.slice(old.indexOf('\r\n\r\n') + 4), `/1:ü€\n${'a'.repeat(20_000)}z`);
});

test('ClientResponse tells when a client that did not read takes more, and loses nothing', async (t) => {
  const piece = Buffer.alloc(8000, 0x62);
  let waits = 0;
  const url = await serve(t, (response) => {
    response.writeHead(200, stream);
    let left = 2000;
    const more = (): void => {
      while (left > 0) {
        left -= 1;
        if (response.write(piece)) continue;
        waits += 1;
        response.once('drain', more);
        return;
      }
      response.end();
    };
    more();
  });
  const all = await said(url, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  t.is(all.slice(all.indexOf('\r\n\r\n') + 4), `${`1f40\r\n${piece.toString()}\r\n`.repeat(2000)}0\r\n\r\n`);
  t.true(waits > 0);
});
