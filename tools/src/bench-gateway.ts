/**
 * What the gateway adds to a request, beside nginx, a bare relay in Node and a direct connection in the same run. The proxies have one core to
 * themselves, load and upstream the other; the sides take turns, and a side's added time is that over the direct way of the same
 * round. Keys, a budget, routing, metrics and the log are on. Processor time is that of the proxy's process alone.
 *
 * @example npm run bench:gateway -- --rows small,busy --out docs/benchmarks
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startNginx } from './bench-gateway/nginx.js';
import { cores, PinnedProcess } from './bench-gateway/pinned-process.js';
import { renderMarkdown } from './bench-gateway/report.js';
import { type Figure, rows, type Side } from './bench-gateway/rows.js';
import { runTool } from './shared/run-tool.js';

const program = (name: string): string => fileURLToPath(new URL(`bench-gateway/${name}.js`, import.meta.url));

await runTool(async (args) => {
  const { values } = parseArgs({
    args,
    options: {
      rows: { type: 'string', default: Object.keys(rows).join(',') },
      nginx: { type: 'string', default: '/usr/sbin/nginx' },
      out: { type: 'string' },
      /** Folder for a profile of the gateway. */
      profile: { type: 'string' },
    },
  });
  const chosen = values.rows.split(',');
  if (!chosen.every((name) => Object.hasOwn(rows, name))) {
    console.error('Usage: npm run bench:gateway -- [--rows A,B] [--nginx FILE] [--out FOLDER] [--profile FOLDER]');
    console.error(`  A, B: ${Object.keys(rows).join(' ')}`);
    return 2;
  }
  if (process.platform !== 'linux' || availableParallelism() < 2) {
    console.error('Cannot measure: processor time and cores are read and set as on Linux; two cores are wanted');
    return 1;
  }
  execFileSync('taskset', ['-a', '-c', '-p', String(cores.load), String(process.pid)], { stdio: 'ignore' });
  const folder = mkdtempSync(join(tmpdir(), 'cortex-bench-gateway-'));
  const running: PinnedProcess[] = [];
  const figures: Figure[] = [];
  try {
    const start = (core: number, ...command: string[]): PinnedProcess => {
      const started = PinnedProcess.start(core, [process.execPath, ...command], join(folder, `${running.length}.log`));
      running.push(started);
      return started;
    };
    const upstream = await start(cores.load, program('upstream')).told<{ url: string }>();
    const profile = values.profile ? ['--cpu-prof', `--cpu-prof-dir=${values.profile}`] : [];
    const gateway = start(cores.proxy, ...profile, '--expose-gc', program('gateway-process'), upstream.url);
    const { url } = await gateway.told<{ url: string }>();
    const bare = start(cores.proxy, program('bare-relay'), upstream.url);
    const { url: bareUrl } = await bare.told<{ url: string }>();
    const nginx = existsSync(values.nginx) ? await startNginx(values.nginx, folder, upstream.url) : undefined;
    if (nginx) running.push(nginx.process);
    const sides: Side[] = [
      { name: 'direct', url: upstream.url },
      ...(nginx ? [{ name: 'nginx' as const, ...nginx }] : []),
      { name: 'bare', url: bareUrl, process: bare },
      { name: 'gateway', url, process: gateway },
    ];
    for (const name of chosen) {
      figures.push(...(await (rows[name] as (typeof rows)[string])(sides)));
      console.error(`${name}: done`);
    }
  } finally {
    for (const each of running.reverse()) await each.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const report = renderMarkdown(figures, [
    `${cpus()[0]?.model.trim() ?? 'unknown processor'}, Node ${process.versions.node}, load average ${loadavg()[0]?.toFixed(1)} at the end`,
    'proxies on one core, load and upstream on another; keys, a budget, routing, metrics and log on',
  ]);
  if (values.out !== undefined) {
    mkdirSync(values.out, { recursive: true });
    writeFileSync(join(values.out, 'gateway.md'), `# Gateway\n\n${report}`);
  }
  console.log(report);
  return 0;
});
