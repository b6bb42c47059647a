/**
 * Ends, stops and starves real daemons on the loopback address and tells whether each fault ends in a served answer or a typed error,
 * and whether anything stays behind. `npm run faults:neuron -- [--device cpu|reference] [--only WORD]`
 */
import { parseArgs } from 'node:util';
import { faultCases } from './fault-neuron/cases.js';
import { runCase } from './fault-neuron/run-case.js';
import { runTool } from './shared/run-tool.js';

await runTool(async (args) => {
  const { values } = parseArgs({ args, options: { device: { type: 'string' }, only: { type: 'string' } } });
  const { device = 'cpu', only = '' } = values;
  const chosen = faultCases.filter(({ name }) => name.includes(only));
  let failed = 0;
  let held = 0;
  for (const fault of chosen) {
    const { checks, wrong } = await runCase(fault, device);
    held += checks - wrong.length;
    failed += wrong.length;
    console.log(`${wrong.length === 0 ? 'ok  ' : 'FAIL'} ${fault.name}`);
    for (const words of wrong) console.log(`     not so: ${words}`);
  }
  console.log(`${chosen.length} faults, ${held} checks hold, ${failed} do not`);
  return failed === 0 && chosen.length > 0 ? 0 : 1;
});
