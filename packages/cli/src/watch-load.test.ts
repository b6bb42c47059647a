import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FakeClock } from '@helexa/core/testing';
import test from 'ava';
import { progressInWords, watchLoad } from './watch-load.js';

test('watchLoad says how far a load is, goes on after a failed look, and ends when it is told to', async (t) => {
  const answers = [
    { status: 200, body: [{ id: 'a', progress: { bytes: 1024, total_bytes: 4096 } }] },
    { status: 500, body: {} },
    { status: 200, body: [{ id: 'other', progress: { bytes: 1, total_bytes: 2 } }] },
    { status: 200, body: [{ id: 'a', progress: { bytes: 4096, total_bytes: 4096 } }] },
  ];
  let asked = 0;
  const server = createServer((_, response) => {
    const { status, body } = answers[asked++]!;
    response.writeHead(status).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  const clock = new FakeClock();
  const said: string[] = [];
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = watchLoad(url, 'a', (words) => said.push(words), clock);
  for (let look = 1; look <= answers.length; look++) {
    await clock.advance(1000);
    // The next look is set once this one has ended.
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    t.is(asked, look);
  }
  t.deepEqual(said, ['1.0 KiB of 4.0 KiB', '4.0 KiB of 4.0 KiB']);
  stop();
  t.is(clock.pending, 0);
});

test('progressInWords says what is known and nothing else', (t) => {
  t.is(progressInWords({ phase: 'resolving', bytes: 0, total_bytes: 0, bytes_per_second: null }), 'resolving');
  const progress = { phase: 'downloading', bytes: 1024, total_bytes: 4096, bytes_per_second: 32, eta_seconds: 96 };
  t.is(progressInWords(progress), 'downloading, 1.0 KiB of 4.0 KiB, 32 B/s, 1 min 36 s left');
});
