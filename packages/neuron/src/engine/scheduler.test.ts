import test from 'ava';
import fc from 'fast-check';
import { planStep, type RunningView } from './scheduler.js';

const view = (id: number, computed: number, length: number, rest: Partial<RunningView> = {}): RunningView => ({
  id,
  computed,
  length,
  paused: false,
  servedAt: -1,
  ...rest,
});
const budget = { maxRows: 256, maxSequences: 8, maxSampled: 8 };

test('planStep gives decode rows first and prompt chunks what is left', (t) => {
  const batch = planStep([view(1, 0, 1000), view(2, 50, 51)], budget);
  t.deepEqual(batch, [
    { id: 2, start: 50, rows: 1, sample: true },
    { id: 1, start: 0, rows: 192, sample: false },
  ]);
});

test('planStep divides the room equally and gives what a short prompt leaves to the others', (t) => {
  const batch = planStep([view(1, 0, 1000), view(2, 0, 10), view(3, 0, 1000)], { ...budget, maxRows: 266 });
  t.deepEqual(
    batch.map((entry) => [entry.id, entry.rows, entry.sample]),
    [
      [1, 128, false],
      [2, 10, true],
      [3, 128, false],
    ],
  );
});

test('planStep ends a chunk where a sequence is to be cut, without a sample', (t) => {
  const views = [view(1, 64, 200, { cutAt: 192 }), view(2, 0, 10)];
  t.deepEqual(planStep(views, budget), [
    { id: 1, start: 64, rows: 128, sample: false },
    { id: 2, start: 0, rows: 10, sample: true },
  ]);
});

test('planStep leaves out a paused sequence', (t) => {
  t.deepEqual(planStep([view(1, 5, 6, { paused: true })], budget), []);
});

test('planStep serves the longest unserved first when there are more decodes than rows', (t) => {
  const views = [view(1, 5, 6, { servedAt: 3 }), view(2, 5, 6, { servedAt: 1 }), view(3, 5, 6, { servedAt: 2 })];
  t.deepEqual(
    planStep(views, { ...budget, maxRows: 2 }).map((entry) => entry.id),
    [2, 3],
  );
});

test('planStep stays in every budget, samples exactly finished sequences and never stands still', (t) => {
  const views = fc.array(
    fc.record({
      computed: fc.nat(300),
      more: fc.nat(300),
      paused: fc.boolean(),
      servedAt: fc.integer({ min: -1, max: 9 }),
    }),
    { maxLength: 12 },
  );
  const limits = fc.record({
    maxRows: fc.integer({ min: 1, max: 300 }),
    maxSequences: fc.integer({ min: 1, max: 8 }),
    maxSampled: fc.integer({ min: 1, max: 8 }),
  });
  fc.assert(
    fc.property(views, limits, (list, limit) => {
      const running = list.map((each, id) => ({
        id,
        computed: each.computed,
        length: each.computed + each.more,
        paused: each.paused,
        servedAt: each.servedAt,
      }));
      const batch = planStep(running, limit);
      const rows = batch.reduce((sum, entry) => sum + entry.rows, 0);
      if (rows > limit.maxRows || batch.length > limit.maxSequences) return false;
      if (batch.filter((entry) => entry.sample).length > limit.maxSampled) return false;
      if (new Set(batch.map((entry) => entry.id)).size !== batch.length) return false;
      for (const entry of batch) {
        const each = running[entry.id]!;
        if (entry.rows < 1 || each.paused || entry.start !== each.computed) return false;
        if (entry.start + entry.rows > each.length || entry.sample !== (entry.start + entry.rows === each.length))
          return false;
      }
      return batch.length > 0 || !running.some((each) => !each.paused && each.length > each.computed);
    }),
  );
  t.pass();
});
