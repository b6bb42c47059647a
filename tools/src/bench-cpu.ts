/**
 * The CPU backend's table of goals, measured: random models of real sizes, beside a llama-bench named by LLAMA_BENCH (and one
 * built for AVX2 alone by LLAMA_BENCH_AVX2) when there is one. The sides take turns, A B B A, in slices of about a second, and
 * read bandwidth is probed between any two slices: what counts is the quotient of neighbours between steady probes. Results
 * are written after every figure; models are kept in .cortex/bench-models.
 *
 * @example LLAMA_BENCH=/path/to/llama-bench npm run bench:cpu -- --rows decode,batch8 --rounds 8 --minutes 25
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CortexError } from '@helexa/core';
import { type FailedRow, renderMarkdown, renderSvg } from './bench-cpu/report.js';
import { type BenchContext, type Figure, rows } from './bench-cpu/rows.js';
import { openBackend } from './shared/open-backend.js';
import { repositoryRoot } from './shared/repository-root.js';
import { runTool } from './shared/run-tool.js';

await runTool(async (args) => {
  const { values } = parseArgs({
    args,
    options: {
      rows: { type: 'string', default: Object.keys(rows).join(',') },
      rounds: { type: 'string', default: '8' },
      minutes: { type: 'string', default: '24' },
      threads: { type: 'string', default: String(availableParallelism()) },
      models: { type: 'string', default: join(repositoryRoot, '.cortex/bench-models') },
      out: { type: 'string', default: join(repositoryRoot, 'docs/benchmarks') },
    },
  });
  const [mostRounds, minutes, threads] = [values.rounds, values.minutes, values.threads].map(Number) as [
    number,
    number,
    number,
  ];
  const chosen = values.rows.split(',');
  const areNumbersFine = [mostRounds, minutes, threads].every((value) => Number.isFinite(value) && value > 0);
  if (!chosen.every((name) => name in rows) || !areNumbersFine) {
    console.error(
      'Usage: npm run bench:cpu -- [--rows A,B] [--rounds N] [--minutes N] [--threads N] [--models DIR] [--out DIR]',
    );
    console.error(`  A, B: ${Object.keys(rows).join(' ')}`);
    return 2;
  }
  const other = process.env['LLAMA_BENCH'];
  const otherAvx2 = process.env['LLAMA_BENCH_AVX2'];
  const prober = await openBackend('cpu');
  const probes: number[] = [];
  const now = () => Number(process.hrtime.bigint()) / 1e9;
  const end = now() + minutes * 60;
  const figures: Figure[] = [];
  const failed: FailedRow[] = [];
  const report = () => {
    const giga = (bytes: number) => (bytes / 1e9).toFixed(1);
    const conditions = [
      `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${threads} threads, random weights, cache F16`,
      `read bandwidth ${giga(Math.min(...probes))} to ${giga(Math.max(...probes))} GB/s in ${probes.length} probes; a slice or pair counts when it moved at most 5 % around it`,
      other
        ? 'the other: the llama-bench given, same file, same threads, taking turns'
        : 'nothing to compare with was given',
    ];
    const text = renderMarkdown(figures, failed, conditions);
    mkdirSync(values.out, { recursive: true });
    writeFileSync(join(values.out, 'cpu.md'), `# CPU backend\n\n![goals](cpu.svg)\n\n${text}`);
    writeFileSync(join(values.out, 'cpu.svg'), renderSvg(figures));
    return text;
  };
  let partsLeft = chosen.reduce((sum, name) => sum + rows[name]!.parts, 0);
  try {
    for (const name of chosen) {
      const { run, parts, tests } = rows[name]!;
      const rowEnd = now() + ((end - now()) * parts) / partsLeft;
      partsLeft -= parts;
      let testsLeft = tests;
      const context: BenchContext = {
        folder: values.models,
        threads,
        other,
        otherAvx2,
        probe: async () => {
          probes.push(await prober.readBandwidth!(threads));
          return probes.at(-1)!;
        },
        isDone: () => {
          const begun = now();
          const share = (rowEnd - begun) / Math.max(1, testsLeft--);
          return (rounds) => {
            const spent = now() - begun;
            return rounds >= mostRounds || spent + spent / rounds > share;
          };
        },
      };
      try {
        for await (const figure of run(context)) {
          figures.push(figure);
          report();
        }
      } catch (error) {
        if (!CortexError.isInstance(error)) throw error;
        failed.push({ what: name, reason: error.message });
      }
      console.error(`${name}: done`);
    }
  } finally {
    await prober.dispose();
  }
  console.log(report());
  return failed.length > 0 ? 1 : 0;
});
