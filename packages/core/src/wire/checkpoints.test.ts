import test from 'ava';
import fc from 'fast-check';
import { CheckpointFilter, encodeCheckpoint } from './checkpoints.js';

const event = (content: string): string => `data: {"id":"c","created":7,"content":${JSON.stringify(content)}}\n\n`;

/** Random runs of events and checkpoints, and where the stream is cut between them. */
const streams = fc.array(
  fc.record({
    events: fc.array(
      fc.oneof(fc.string(), fc.constant('\n: cortex-checkpoint 9\n'), fc.constant(': cortex-checkpoint')),
      {
        maxLength: 3,
      },
    ),
    tokens: fc.option(fc.array(fc.nat(200_000), { maxLength: 3 }), { nil: undefined }),
    isCut: fc.boolean(),
  }),
  { minLength: 1, maxLength: 12 },
);

test('CheckpointFilter lets everything but checkpoints through, up to the last of them, and knows its tokens', (t) => {
  fc.assert(
    fc.property(streams, (parts) => {
      const filter = new CheckpointFilter();
      let [pending, out, said, released, held] = ['', '', '', '', ''];
      const tokens: number[] = [];
      for (const { events, tokens: mark, isCut } of parts) {
        const text = events.map(event).join('');
        pending += text;
        said += text;
        held += text;
        if (mark) {
          pending += encodeCheckpoint(mark);
          tokens.push(...mark);
          [released, held] = [said, ''];
        }
        if (!isCut || pending === '') continue;
        out += filter.push(Buffer.from(pending))?.toString() ?? '';
        pending = '';
        t.is(out, released);
        t.is(filter.heldBytes, Buffer.byteLength(held));
        if (released !== '') t.deepEqual(filter.resume, { id: 'c', created: 7, tokens });
      }
      if (pending !== '') out += filter.push(Buffer.from(pending))?.toString() ?? '';
      t.is(out + filter.rest().toString(), said);
    }),
    { numRuns: 300 },
  );
});

test('CheckpointFilter goes on from the tokens it is given, and comes to an end whatever a checkpoint is', (t) => {
  const filter = new CheckpointFilter({ id: 'a', created: 1, tokens: [3] });
  filter.push(Buffer.from(`${event('x')}: cortex-checkpoint 14 15\n\n`));
  t.deepEqual(filter.resume, { id: 'a', created: 1, tokens: [3, 14, 15] });
  t.is(filter.push(Buffer.from(': cortex-checkpoint 5\r\r')), undefined);
});
