import test from 'ava';
import fc from 'fast-check';
import { NotHttp, ResponseParser } from './response-parser.js';

/** What a parser tells of bytes that come in these parts; bodies joined. */
const read = (parts: readonly Buffer[], isEnded = false): string[] => {
  const said: string[] = [];
  let body = '';
  const parser = new ResponseParser({
    onHead: (status, headers) => void said.push(`${status} ${JSON.stringify(headers)}`),
    onBody: (part) => {
      body += part.toString('latin1');
    },
    onEnd: (stays) => {
      said.push(body, stays ? 'stays' : 'goes');
      body = '';
    },
  });
  for (const part of parts) {
    const lent = Buffer.from(part);
    parser.push(lent);
    // What was lent is another's afterwards.
    lent.fill(0x21);
  }
  if (isEnded) said.push(parser.end() ? 'ended' : 'cut');
  return said;
};

const whole = (text: string, isEnded = false): string[] => read([Buffer.from(text, 'latin1')], isEnded);

const answers = [
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 5\r\n\r\nhello',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nx-a: 1\r\nX-A: 2\r\n\r\n5\r\nhello\r\nA;x="y"\r\n, world!!!\r\n0\r\n\r\n',
  'HTTP/1.1 204 \r\n\r\n',
  'HTTP/1.1 200\r\ntransfer-encoding: chunked\r\n\r\n00\r\nx-trailer: 1\r\n\r\n',
  'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: Close\r\n\r\n',
];

test('ResponseParser tells the same of a run of answers, wherever it is cut', (t) => {
  const bytes = Buffer.from(answers.join(''), 'latin1');
  const expected = [
    '200 {"content-type":"text/plain","content-length":"5"}',
    'hello',
    'stays',
    '200 {"transfer-encoding":"Chunked","x-a":["1","2"]}',
    'hello, world!!!',
    'stays',
    '204 {}',
    '',
    'stays',
    '200 {"transfer-encoding":"chunked"}',
    '',
    'stays',
    '404 {"content-length":"0","connection":"Close"}',
    '',
    'goes',
    'ended',
  ];
  t.deepEqual(read([bytes], true), expected);
  const everyByte = Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
  t.deepEqual(read(everyByte, true), expected);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: bytes.length })), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const parts = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
      t.deepEqual(read(parts, true), expected);
    }),
    { numRuns: 200 },
  );
});

test('ResponseParser takes all that comes where no length is told, and keeps no connection of HTTP/1.0', (t) => {
  t.deepEqual(whole('HTTP/1.1 200 OK\r\n\r\nall of it', true), ['200 {}', 'all of it', 'goes', 'ended']);
  t.deepEqual(whole('HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab').slice(1), ['ab', 'goes']);
});

test('ResponseParser knows an answer that is cut', (t) => {
  for (const answer of [answers[0], answers[2]] as string[]) {
    const bytes = Buffer.from(answer, 'latin1');
    for (let end = 1; end < bytes.length; end++) t.is(read([bytes.subarray(0, end)], true).at(-1), 'cut', String(end));
  }
});

test('ResponseParser refuses what could be read in two ways', (t) => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  const bad = [
    'ICY 200 OK\r\n\r\n',
    'HTTP/2.0 200 OK\r\n\r\n',
    'HTTP/1.1 2000 OK\r\n\r\n',
    'HTTP/1.1 101 Switching\r\n\r\n',
    `${ok}content-length: 5\r\ncontent-length: 6\r\n\r\n`,
    `${ok}content-length: 5\r\ncontent-length: 5\r\n\r\n`,
    `${ok}content-length: +5\r\n\r\n`,
    `${ok}content-length: 5, 5\r\n\r\n`,
    `${ok}content-length: 0x5\r\n\r\n`,
    `${ok}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n`,
    `${ok}transfer-encoding: gzip, chunked\r\n\r\n`,
    `${ok}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n`,
    'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
    `${ok}content-length : 5\r\n\r\n`,
    `${ok}x-a: 1\r\n folded: 2\r\n\r\n`,
    `${ok}x-a: 1\nx-b: 2\r\n\r\n`,
    `${ok}x-a: 1\rx-b: 2\r\n\r\n`,
    `${ok}x-a: \0\r\n\r\n`,
    `${ok}no colon\r\n\r\n`,
    `${ok}x-long: ${'y'.repeat(40_000)}`,
    `${ok}transfer-encoding: chunked\r\n\r\n\r\n`,
    `${ok}transfer-encoding: chunked\r\n\r\n-5\r\n`,
    `${ok}transfer-encoding: chunked\r\n\r\n5 \r\nhello\r\n`,
    `${ok}transfer-encoding: chunked\r\n\r\n5\nhello`,
    `${ok}transfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n`,
    `${ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\n`,
    `${ok}transfer-encoding: chunked\r\n\r\n5;\n\r\nhello`,
    `${ok}transfer-encoding: chunked\r\n\r\n5;${'x'.repeat(2000)}`,
    `${ok}transfer-encoding: chunked\r\n\r\n${'f'.repeat(16)}\r\n`,
  ];
  for (const text of bad)
    t.throws(() => whole(text), { any: true, instanceOf: NotHttp }, JSON.stringify(text.slice(0, 80)));
});

test('ResponseParser keeps names that objects have themselves as headers', (t) => {
  t.deepEqual(whole('HTTP/1.1 204 No\r\nconstructor: a\r\n\r\n')[0], '204 {"constructor":"a"}');
});
