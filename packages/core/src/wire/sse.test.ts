import test from 'ava';
import fc from 'fast-check';
import { encodeSse, SseDecoder, type SseEvent } from './sse.js';

const decodeInChunks = (bytes: Uint8Array, cuts: readonly number[]): SseEvent[] => {
  const decoder = new SseDecoder();
  const events: SseEvent[] = [];
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    events.push(...decoder.push(bytes.subarray(from, Math.max(from, Math.min(cut, bytes.length)))));
    from = Math.max(from, Math.min(cut, bytes.length));
  }
  return [...events, ...decoder.push(bytes.subarray(from)), ...decoder.end()];
};

test('encodeSse writes one data line per line of data, and the name first', (t) => {
  t.is(encodeSse('{"a":1}'), 'data: {"a":1}\n\n');
  t.is(encodeSse('a\nb\r\nc', 'ping'), 'event: ping\ndata: a\ndata: b\ndata: c\n\n');
  t.throws(() => encodeSse('x', 'a\nb'), { message: /line break/ });
});

test('SseDecoder gives back any list of events, cut anywhere', (t) => {
  const data = fc.string({ unit: 'binary' }).map((text) => text.replace(/\r/g, ''));
  const event = fc.record({ data, event: fc.option(fc.stringMatching(/^[a-z_.]{1,12}$/), { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 30 }), (events, cuts) => {
      const bytes = Buffer.from(events.map((each) => encodeSse(each.data, each.event)).join(''));
      // A lone surrogate has no UTF-8 form: compare what the bytes say.
      const wanted = events.map((each) => ({
        ...(each.event === undefined ? {} : { event: each.event }),
        data: Buffer.from(each.data).toString(),
      }));
      t.deepEqual(decodeInChunks(bytes, cuts), wanted);
    }),
    { numRuns: 2000 },
  );
});

test('SseDecoder takes every kind of line break, cut between its halves', (t) => {
  for (const newline of ['\n', '\r\n', '\r']) {
    const bytes = Buffer.from(
      `: note${newline}event: a${newline}data: é${newline}data: b${newline}${newline}data: c${newline}${newline}`,
    );
    for (let cut = 0; cut <= bytes.length; cut++) {
      t.deepEqual(
        decodeInChunks(bytes, [cut]),
        [{ event: 'a', data: 'é\nb' }, { data: 'c' }],
        `${JSON.stringify(newline)} at ${cut}`,
      );
    }
  }
});

test('SseDecoder hands comments on and drops an event that never ended', (t) => {
  const comments: string[] = [];
  const decoder = new SseDecoder({ onComment: (comment) => comments.push(comment) });
  t.deepEqual(decoder.push(': alive\n\ndata: half'), []);
  t.deepEqual(decoder.end(), []);
  t.deepEqual(comments, ['alive']);
});
