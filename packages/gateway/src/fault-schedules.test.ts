import test from 'ava';
import { historyOf } from './testing/fault-history.js';
import { playHistory } from './testing/play-history.js';
import { shrinkHistory } from './testing/shrink-history.js';

const schedules = 200;

test('after any history of faults every request has had one outcome, no byte was wrong and nothing is left over', async (t) => {
  let resumed = 0;
  let served = 0;
  const kinds = new Set<string>();
  for (let seed = 1; seed <= schedules; seed++) {
    const history = historyOf(seed);
    for (const { act } of history.steps) kinds.add(act.kind);
    const report = await playHistory(history);
    t.deepEqual(report.problems, [], `seed ${seed}`);
    resumed += report.resumed;
    served += report.served;
  }
  // A history in which nothing happens shows nothing.
  t.true(resumed > 5 && served > schedules, JSON.stringify({ resumed, served }));
  t.is(kinds.size, 26, [...kinds].join(' '));
});

test('shrinkHistory leaves the steps without which a history does not fail, and no time between them', async (t) => {
  const history = historyOf(3);
  const [first, last] = [history.steps[2], history.steps.at(-1)];
  const smaller = await shrinkHistory(history, async ({ steps }) => {
    const acts = steps.map(({ act }) => act);
    return acts.includes(first!.act) && acts.includes(last!.act);
  });
  t.deepEqual(
    smaller.steps,
    [first!, last!].map(({ act }) => ({ act, thenMs: 0 })),
  );
});
