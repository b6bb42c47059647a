import test from 'ava';
import { faultCases } from './cases.js';
import { runCase } from './run-case.js';

// The others run by `npm run faults:neuron`.
for (const word of ['kill -9 during a download', 'SIGTERM']) {
  const fault = faultCases.find(({ name }) => name.startsWith(word));
  test.serial(`faults:neuron, ${fault?.name}`, async (t) => {
    const { checks, wrong } = await runCase(fault!, 'reference');
    t.deepEqual(wrong, []);
    t.true(checks >= 4);
  });
}

test('runCase tells what did not hold, also when a case ends early', async (t) => {
  const broken = {
    name: 'broken',
    run: async (_: unknown, expect: (holds: boolean, words: string) => void) => {
      expect(true, 'fine');
      expect(false, 'not fine');
      throw new TypeError('early');
    },
  };
  const { checks, wrong } = await runCase(broken, 'reference');
  t.is(checks, 2);
  t.is(wrong[0], 'not fine');
  t.regex(wrong[1]!, /TypeError: early/);
});
