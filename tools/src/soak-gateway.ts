/**
 * Sends a gateway many requests, a tenth of which are given up at any moment: whole answers, streams and translated streams. Ends
 * with 1 when memory grows, a file descriptor stays behind, or a request hangs, fails or has another number of events than the
 * neuron said.
 *
 * @example npm run soak:gateway -- --requests 1000000
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PinnedProcess } from './bench-gateway/pinned-process.js';
import { runTool } from './shared/run-tool.js';
import { mebibytes, soak } from './soak-gateway/soak.js';

/** Most that a line fitted to memory after the warm-up may rise; freed pages come back to the system late. */
const mostResidentRiseBytes = 16 * 2 ** 20;
const mostHeapRiseBytes = 2 * 2 ** 20;

const program = (name: string): string => fileURLToPath(new URL(`bench-gateway/${name}.js`, import.meta.url));

await runTool(async (args) => {
  const { values } = parseArgs({
    args,
    options: {
      requests: { type: 'string', default: '20000' },
      concurrency: { type: 'string', default: '32' },
      aborts: { type: 'string', default: '0.1' },
      seed: { type: 'string', default: '1' },
    },
  });
  const numbers = [values.requests, values.concurrency, values.aborts, values.seed].map(Number);
  if (!numbers.every((value) => Number.isFinite(value) && value >= 0)) {
    console.error('Usage: npm run soak:gateway -- [--requests N] [--concurrency N] [--aborts SHARE] [--seed N]');
    return 2;
  }
  const [requests, concurrency, abortShare, seed] = numbers as [number, number, number, number];
  const folder = mkdtempSync(join(tmpdir(), 'cortex-soak-gateway-'));
  const running: PinnedProcess[] = [];
  try {
    const start = (name: string, ...rest: string[]): PinnedProcess => {
      const command = [process.execPath, '--expose-gc', program(name), ...rest];
      const started = PinnedProcess.start(undefined, command, join(folder, `${name}.log`));
      running.push(started);
      return started;
    };
    const upstream = await start('upstream').told<{ url: string }>();
    const gateway = start('gateway-process', upstream.url);
    const { url } = await gateway.told<{ url: string }>();
    const report = await soak({
      url,
      gateway,
      requests,
      concurrency,
      abortShare,
      seed,
      onProgress: (line) => console.log(line),
    });
    const { counts, seconds, residentRiseBytes, heapRiseBytes, descriptors } = report;
    console.log(`${JSON.stringify(counts)} in ${seconds.toFixed(0)} s`);
    console.log(
      `fitted rise after warm-up: resident ${mebibytes(residentRiseBytes)} MiB (at most ${mebibytes(mostResidentRiseBytes)}), heap ${mebibytes(heapRiseBytes)} MiB (at most ${mebibytes(mostHeapRiseBytes)}); file descriptors ${descriptors.before} before, ${descriptors.after} after`,
    );
    const faults = [
      ...(counts.hung + counts.failed + counts.wrong > 0 ? ['requests hung, failed or had other events'] : []),
      ...(residentRiseBytes > mostResidentRiseBytes ? ['resident memory rises'] : []),
      ...(heapRiseBytes > mostHeapRiseBytes ? ['the heap rises'] : []),
      ...(descriptors.after > descriptors.before ? ['file descriptors stay behind'] : []),
    ];
    for (const fault of faults) console.error(fault);
    console.log(faults.length === 0 ? 'soaked: nothing is left over' : `soaked: ${faults.length} faults`);
    return faults.length === 0 ? 0 : 1;
  } finally {
    for (const each of running.reverse()) await each.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
