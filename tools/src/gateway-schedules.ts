/**
 * Plays random fault histories against a whole gateway, in memory and virtual time: arrivals, loads, evictions, clients that leave or
 * do not read, neurons that crash, freeze, cut, lie silent or answer errors, partitions, reloads and shutdown. Prints the seeds of
 * histories in which a request hung, had two outcomes, got a wrong byte or left something behind; `--seed N --schedules 1` plays one again.
 */
import { parseArgs } from 'node:util';
import { runFaultSchedule } from '../../packages/gateway/dist/testing/fault-schedule.js';
import { runTool } from './shared/run-tool.js';

const mostPrinted = 20;

await runTool(async (args) => {
  const { values } = parseArgs({
    args,
    options: { schedules: { type: 'string', default: '1000' }, seed: { type: 'string', default: '1' } },
  });
  const [first, count] = [Number(values.seed), Number(values.schedules)];
  const before = process.cpuUsage();
  const total = { requests: 0, served: 0, resumed: 0, failed: 0 };
  for (let seed = first; seed < first + count; seed++) {
    const { problems, requests, served, resumed } = await runFaultSchedule(seed);
    total.requests += requests;
    total.served += served;
    total.resumed += resumed;
    if (problems.length === 0) continue;
    total.failed += 1;
    if (total.failed <= mostPrinted) console.error(`seed ${seed}: ${problems.join('; ')}`);
  }
  const { user, system } = process.cpuUsage(before);
  const cpuMs = Math.round((user + system) / 1000);
  console.log(
    `${count} schedules from seed ${first}: ${total.failed} failed; ${total.requests} requests, ` +
      `${total.served} with status 200, ${total.resumed} streams taken on by another neuron; ${cpuMs} ms of CPU`,
  );
  return total.failed === 0 ? 0 : 1;
});
