import test from 'ava';
import fc from 'fast-check';
import { EventSplitter } from './event-splitter.js';

const runsOf = (splitter: EventSplitter, bytes: Buffer, cuts: readonly number[]): Buffer[] => {
  const runs: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
    const to = Math.max(from, Math.min(cut, bytes.length));
    const run = splitter.push(bytes.subarray(from, to));
    if (run) runs.push(run);
    from = to;
  }
  return runs;
};

const line = fc.constantFrom(
  'data: {"a":1}',
  'data: é😀',
  'event: ping',
  ': alive',
  'data:',
  'id: 7',
  'data: [DONE] not',
);
const newline = fc.constantFrom('\n', '\r\n', '\r');

test('EventSplitter gives out every byte of whole events once, in order, cut anywhere', (t) => {
  const stream = fc
    .tuple(newline, fc.array(fc.array(line, { minLength: 1, maxLength: 3 }), { maxLength: 6 }))
    .map(([end, events]) =>
      Buffer.from(events.map((lines) => lines.map((each) => each + end).join('') + end).join('')),
    );
  fc.assert(
    fc.property(stream, fc.array(fc.nat(300), { maxLength: 40 }), (bytes, cuts) => {
      const splitter = new EventSplitter();
      t.deepEqual(Buffer.concat(runsOf(splitter, bytes, cuts)), bytes);
      t.is(splitter.heldBytes, 0);
    }),
    { numRuns: 3000 },
  );
});

test('EventSplitter never gives out a part of an event', (t) => {
  const events = ['data: one\n\n', 'data: two\r\n\r\n', ': note\n\n', 'event: x\ndata: three\n\n'];
  const bytes = Buffer.from(events.join(''));
  const boundaries = new Set<number>();
  let length = 0;
  for (const event of events) {
    length += event.length;
    boundaries.add(length);
  }
  // A return may be the end of its line: the line feed behind it then comes alone.
  boundaries.add(events[0]!.length + events[1]!.length - 1);
  for (let cut = 0; cut <= bytes.length; cut++) {
    let out = 0;
    for (const run of runsOf(new EventSplitter(), bytes, [cut])) {
      out += run.length;
      t.true(boundaries.has(out), `cut at ${cut} gave out ${out} bytes`);
    }
  }
});

test('EventSplitter holds what is not whole and says how the stream ended', (t) => {
  const splitter = new EventSplitter();
  t.is(splitter.push(Buffer.from('data: {"a"')), undefined);
  t.is(splitter.heldBytes, 10);
  t.is(splitter.push(Buffer.from(':1}\n\ndata: [DO'))?.toString(), 'data: {"a":1}\n\n');
  t.is(splitter.ending, 'open');
  t.is(splitter.push(Buffer.from('NE]\n\n'))?.toString(), 'data: [DONE]\n\n');
  t.is(splitter.ending, 'done');
});

const endings: readonly [string, string][] = [
  ['data: [DONE]\n\n', 'done'],
  ['data:[DONE]\r\n\r\n', 'done'],
  ['data: {"error":{"message":"x"}}\n\n', 'error'],
  ['event: error\ndata: {"error":{}}\n\n', 'error'],
  ['data: {"choices":[{"delta":{"content":"data: [DONE]"}}]}\n\n', 'open'],
  ['data: {"content":"{\\"error\\""}\n\n', 'open'],
  [': [DONE]\n\n', 'open'],
  ['data: [DONE]', 'open'],
];
for (const [stream, ending] of endings) {
  test(`EventSplitter calls the ending of ${JSON.stringify(stream)} ${ending}`, (t) => {
    const splitter = new EventSplitter();
    for (const byte of Buffer.from(stream)) splitter.push(Buffer.from([byte]));
    t.is(splitter.ending, ending as never);
  });
}
