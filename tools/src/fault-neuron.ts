/**
 * Ends, stops and starves real daemons on the loopback address and tells whether each fault ends in a served answer or a typed error,
 * and whether anything stays behind. `npm run faults:neuron -- [--device cpu|reference] [--only WORD]`
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { faultCases } from './fault-neuron/cases.js';
import { openRig } from './fault-neuron/rig.js';
import { runTool } from './shared/run-tool.js';

await runTool(async (args) => {
  const { values } = parseArgs({ args, options: { device: { type: 'string' }, only: { type: 'string' } } });
  const { device = 'cpu', only = '' } = values;
  const chosen = faultCases.filter(({ name }) => name.includes(only));
  let failed = 0;
  let held = 0;
  for (const { name, run } of chosen) {
    const folder = await mkdtemp(join(tmpdir(), 'cortex-faults-'));
    const rig = await openRig(folder, device);
    const wrong: string[] = [];
    let checks = 0;
    try {
      await run(rig, (holds, words) => {
        checks += 1;
        if (!holds) wrong.push(words);
      });
    } catch (error) {
      wrong.push(`it ended with ${error instanceof Error ? error.stack : String(error)}`);
    } finally {
      await rig.close();
      await rm(folder, { recursive: true, force: true });
    }
    held += checks - wrong.length;
    failed += wrong.length;
    console.log(`${wrong.length === 0 ? 'ok  ' : 'FAIL'} ${name}`);
    for (const words of wrong) console.log(`     not so: ${words}`);
  }
  console.log(`${chosen.length} faults, ${held} checks hold, ${failed} do not`);
  return failed === 0 ? 0 : 1;
});
