import test from 'ava';
import { runFaultSchedule } from './testing/fault-schedule.js';

const schedules = 200;

test('after any history of faults every request has had one outcome, no byte was wrong and nothing is left over', async (t) => {
  let resumed = 0;
  let served = 0;
  for (let seed = 1; seed <= schedules; seed++) {
    const report = await runFaultSchedule(seed);
    t.deepEqual(report.problems, [], `seed ${seed}`);
    resumed += report.resumed;
    served += report.served;
  }
  // A history in which nothing happens shows nothing.
  t.true(resumed > 5 && served > schedules, JSON.stringify({ resumed, served }));
});
