/** A neuron that answers at once, with as little work as can be: raw HTTP/1.1 on sockets. Started with an IPC channel. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { chatChunks, checkpointHeader, encodeCheckpoint, encodeSse, sseDone } from '@helexa/core';
import { benchModel, chunksHeader, intervalHeader } from './workload.js';

const headEnd = Buffer.from('\r\n\r\n');

const answerOf = (type: string, body: string): Buffer =>
  Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);

const json = (value: unknown): Buffer => answerOf('application/json', JSON.stringify(value));

const identity = { id: 'chatcmpl-bench', created: 1_700_000_000, model: benchModel };
const chunks = chatChunks(identity);
const usage = { prompt_tokens: 180, completion_tokens: 200, total_tokens: 380 };

const whole = json({
  ...identity,
  object: 'chat.completion',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'word '.repeat(220) },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage,
});

const controls: Readonly<Record<string, Buffer>> = {
  '/models': json([{ id: benchModel, status: 'loaded' }]),
  '/health': json({ uptime_secs: 1, devices: [], models: [{ id: benchModel, in_flight: 0, queue_depth: 0 }] }),
  '/discovery': json({ hostname: 'bench', os: 'none', kernel: '0', devices: [] }),
};

const framed = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

/** Says one event in each interval, and the next request of this connection only comes after the last. */
const stream = (socket: Socket, count: number, intervalMs: number, marks: boolean): void => {
  const mark = (token: number): string => (marks ? encodeCheckpoint([token]) : '');
  const head = marks ? `${checkpointHeader}: send\r\n` : '';
  socket.write(
    `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n${head}\r\n` +
      framed(encodeSse(JSON.stringify(chunks.role())) + mark(0)),
  );
  if (count === 0) return;
  let said = 0;
  const timer = setInterval(() => {
    if (said++ < count) {
      socket.write(framed(encodeSse(JSON.stringify(chunks.content(' token'))) + mark(said)));
      return;
    }
    clearInterval(timer);
    socket.write(`${framed(encodeSse(JSON.stringify(chunks.finish('stop'))) + encodeSse(sseDone))}0\r\n\r\n`);
  }, intervalMs);
  socket.once('close', () => clearInterval(timer));
};

const answer = (socket: Socket, head: string): void => {
  const path = head.slice(head.indexOf(' ') + 1, head.indexOf(' ', head.indexOf(' ') + 1));
  const control = controls[path];
  if (control) {
    socket.write(control);
    return;
  }
  const numberIn = (header: string): number | undefined => {
    const found = new RegExp(`^${header}: *(\\d+)`, 'im').exec(head)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const count = numberIn(chunksHeader);
  if (count === undefined) socket.write(whole);
  else stream(socket, count, numberIn(intervalHeader) ?? 1, /^x-cortex-checkpoints: *send/im.test(head));
};

const server = createServer({ noDelay: true }, (socket) => {
  let held = Buffer.alloc(0);
  let bodyBytes = 0;
  let head = '';
  socket.on('error', () => {});
  socket.on('data', (data) => {
    let rest = data;
    while (rest.length > 0) {
      if (head === '') {
        held = held.length === 0 ? rest : Buffer.concat([held, rest]);
        const end = held.indexOf(headEnd);
        if (end < 0) return;
        head = held.toString('latin1', 0, end + 2);
        bodyBytes = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
        rest = held.subarray(end + headEnd.length);
        held = Buffer.alloc(0);
      }
      const taken = Math.min(bodyBytes, rest.length);
      bodyBytes -= taken;
      rest = rest.subarray(taken);
      if (bodyBytes > 0) return;
      answer(socket, head);
      head = '';
    }
  });
});
server.listen(0, '127.0.0.1', 4096, () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
process.on('disconnect', () => process.exit());
