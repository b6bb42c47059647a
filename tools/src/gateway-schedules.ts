/**
 * Plays random fault histories against whole gateways, in memory and virtual time: arrivals in every dialect, loads, evictions,
 * clients that leave, do not read or do not send, neurons that crash, restart, freeze, cut, lie or answer garbage, networks that
 * lose, delay or hold back, other gateways, reloads, revoked keys, a lost ledger and shutdown. Prints the seeds of histories in which
 * a request hung, had two outcomes, got a wrong byte or left something behind, and the first one in its smallest form.
 * `--seed N --schedules 1` plays one again; several processes share the work with different seeds to begin with.
 */
import { parseArgs } from 'node:util';
import { type History, historyOf } from '../../packages/gateway/dist/testing/fault-history.js';
import { playHistory } from '../../packages/gateway/dist/testing/play-history.js';
import { shrinkHistory } from '../../packages/gateway/dist/testing/shrink-history.js';
import { runTool } from './shared/run-tool.js';

const mostPrinted = 20;

const printSmallest = async (history: History): Promise<void> => {
  const fails = async (each: History): Promise<boolean> => (await playHistory(each)).problems.length > 0;
  const smallest = await shrinkHistory(history, fails);
  const { loaded, gateways, isShutDown, steps } = smallest;
  console.error(`  smallest form: ${JSON.stringify({ loaded, gateways, isShutDown })}`);
  for (const { act, thenMs } of steps) console.error(`    ${JSON.stringify(act)} then ${thenMs} ms`);
  console.error(`  ${(await playHistory(smallest)).problems.join('\n  ')}`);
};

await runTool(async (args) => {
  const { values } = parseArgs({
    args,
    options: { schedules: { type: 'string', default: '1000' }, seed: { type: 'string', default: '1' } },
  });
  const [first, count] = [Number(values.seed), Number(values.schedules)];
  // Errors are made by the thousand, and nobody reads where.
  Error.stackTraceLimit = 0;
  const before = process.cpuUsage();
  const total = { requests: 0, served: 0, resumed: 0, overcommitted: 0, failed: 0 };
  for (let seed = first; seed < first + count; seed++) {
    const history = historyOf(seed);
    const { problems, requests, served, resumed, overcommitted } = await playHistory(history);
    total.requests += requests;
    total.served += served;
    total.resumed += resumed;
    total.overcommitted += overcommitted;
    if (problems.length === 0) continue;
    total.failed += 1;
    if (total.failed <= mostPrinted) console.error(`seed ${seed}: ${problems.join('; ')}`);
    if (total.failed === 1) await printSmallest(history);
  }
  const { user, system } = process.cpuUsage(before);
  const cpuMs = Math.round((user + system) / 1000);
  console.log(
    `${count} schedules from seed ${first}: ${total.failed} failed; ${total.requests} requests, ` +
      `${total.served} with status 200, ${total.resumed} streams taken on by another neuron, ` +
      `${total.overcommitted} loads refused for want of room that no gateway could know of; ${cpuMs} ms of CPU`,
  );
  return total.failed === 0 ? 0 : 1;
});
