/**
 * The speed of the CPU backend on random models of real sizes, beside a llama-bench named by LLAMA_BENCH when there is
 * one: ours, theirs, theirs, ours in each round, with read bandwidth probed around each of ours.
 *
 * @example LLAMA_BENCH=/path/to/llama-bench npm run bench:cpu -- --like qwen3-0.6b --quant Q4_K_M,Q8_0 --rounds 3
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureOurs, measureTheirs } from './bench-cpu/measure-round.js';
import { type ModelRounds, renderMarkdown, renderSvg, summarise } from './bench-cpu/report.js';
import { findSize } from './random-model/published-size.js';
import { writeModel } from './random-model/write-model.js';
import { architectures } from './shared/architectures.js';
import { repositoryRoot } from './shared/repository-root.js';
import { runTool } from './shared/run-tool.js';

await runTool(async (args) => {
  const { values } = parseArgs({
    args,
    options: {
      like: { type: 'string', default: 'qwen3-0.6b' },
      quant: { type: 'string', default: 'Q4_K_M,Q8_0' },
      rounds: { type: 'string', default: '3' },
      threads: { type: 'string', default: String(availableParallelism()) },
      prompt: { type: 'string', default: '512' },
      generate: { type: 'string', default: '64' },
      out: { type: 'string', default: join(repositoryRoot, 'docs/benchmarks') },
    },
  });
  const [rounds, threads, prompt, generate] = [values.rounds, values.threads, values.prompt, values.generate].map(
    Number,
  ) as [number, number, number, number];
  const other = process.env['LLAMA_BENCH'];
  const folder = mkdtempSync(join(tmpdir(), 'cortex-bench-'));
  const measured: ModelRounds[] = [];
  try {
    for (const like of values.like.split(','))
      for (const quant of values.quant.split(',')) {
        const model = join(folder, `${like}-${quant}.gguf`);
        writeModel(findSize(architectures, like), quant, 1, model);
        const shape = { model, threads, prompt, generate };
        const done: ModelRounds['rounds'][number][] = [];
        for (let round = 0; round < rounds; round++) {
          const first = measureOurs(shape);
          const theirs = other ? [measureTheirs(other, shape), measureTheirs(other, shape)] : [];
          done.push({ ours: [first, measureOurs(shape)], theirs });
          console.error(`${like} ${quant}: round ${round + 1} of ${rounds}`);
        }
        measured.push({ name: `${like} ${quant}`, rounds: done });
        rmSync(model, { recursive: true });
      }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const rows = measured.map(summarise);
  const conditions = [
    `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${threads} threads, prompt ${prompt}, ${generate} tokens generated, batch 1`,
    'random weights; median of the runs of steady rounds (read bandwidth moved at most 5 % within a round)',
    other ? 'other: the llama-bench given, same file, same threads, interleaved' : 'nothing to compare with was given',
  ];
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, 'cpu.md'), `# CPU backend\n\n${renderMarkdown(rows, conditions)}`);
  writeFileSync(join(values.out, 'cpu.svg'), renderSvg(rows));
  console.log(renderMarkdown(rows, conditions));
  return 0;
});
