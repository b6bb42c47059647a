/**
 * Registers, spills and shared memory of every CUDA kernel, from the assembler: needs nvcc, no GPU. Fails where a kernel spills
 * more than the budget. What was compiled is kept in .cortex/cuda-registers by the digest of its sources, so that a run that was
 * ended goes on where it stopped.
 *
 * Without options: every target, and docs/benchmarks/cuda-registers.md is written. `--check` is for continuous integration: one
 * target, and only the files that are not as the table says; it writes nothing.
 *
 * @example npm run cuda:registers -- --targets 90 --files product --out /tmp/registers.md
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { type KernelUse, parsePtxasReport } from './cuda-registers/ptxas-report.js';
import { type CompiledFile, findSpills, readDigests, renderTable } from './cuda-registers/register-table.js';
import { sourceDigest } from './cuda-registers/source-digest.js';
import { repositoryRoot } from './shared/repository-root.js';
import { runTool } from './shared/run-tool.js';

const native = join(repositoryRoot, 'packages/kernels-cuda/native');
const shared = join(repositoryRoot, 'packages/graph/native');
const cache = join(repositoryRoot, '.cortex/cuda-registers');
const table = join(repositoryRoot, 'docs/benchmarks/cuda-registers.md');

await runTool(async (args) => {
  const { values } = parseArgs({
    args,
    options: {
      targets: { type: 'string', default: '80,86,89,90,100,120' },
      files: { type: 'string', default: '' },
      check: { type: 'boolean', default: false },
      out: { type: 'string', default: table },
    },
  });
  const nvcc = ['nvcc', '/usr/local/cuda/bin/nvcc'].find((name) => run(name, ['--version']).status === 0);
  if (nvcc === undefined) {
    console.log('SKIPPED: registers of the CUDA kernels: no nvcc on this machine');
    return 0;
  }
  const targets = values.check ? ['90'] : values.targets.split(',');
  const known =
    values.check && existsSync(table) ? readDigests(readFileSync(table, 'utf8')) : new Map<string, string>();
  mkdirSync(cache, { recursive: true });
  const files: CompiledFile[] = [];
  let unchanged = 0;
  for (const file of kernelFiles().filter((name) => name.includes(values.files))) {
    const digest = sourceDigest(join(native, file), [shared]);
    if (known.get(file) === digest) {
      unchanged++;
      continue;
    }
    const byTarget = new Map<string, readonly KernelUse[]>();
    for (const target of targets) {
      const report = compile(nvcc, file, digest, target);
      if (report === undefined) return 1;
      byTarget.set(target, parsePtxasReport(report));
    }
    files.push({ file, digest, targets: byTarget });
  }
  const names = plainNames(files.flatMap(({ targets }) => [...targets.values()].flat().map(({ kernel }) => kernel)));
  const nameOf = (mangled: string): string => names.get(mangled) ?? mangled;
  const spills = findSpills(files, nameOf);
  for (const line of spills) console.error(line);
  if (!values.check) {
    const version = /release ([\d.]+)/.exec(run(nvcc, ['--version']).stdout)?.[1] ?? 'of unknown version';
    writeFileSync(values.out, renderTable(files, targets, `nvcc ${version}`, nameOf));
  }
  const note = unchanged > 0 ? `, ${unchanged} files as the table has them` : '';
  console.log(
    `${names.size} kernels for ${targets.map((name) => `sm_${name}`).join(', ')}: ${spills.length} spill too much${note}`,
  );
  return spills.length === 0 ? 0 : 1;
});

function run(
  command: string,
  args: readonly string[],
  input = '',
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(command, args, { encoding: 'utf8', input, maxBuffer: 1 << 26 });
}

function kernelFiles(): string[] {
  return readdirSync(native, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.cu'))
    .sort();
}

/** The assembler's report, made now or kept from before; undefined, with the compiler's words shown, when it does not compile. */
function compile(nvcc: string, file: string, digest: string, target: string): string | undefined {
  const kept = join(cache, `${basename(file, '.cu')}-${digest}-${target}.txt`);
  if (existsSync(kept)) return readFileSync(kept, 'utf8');
  const flags = [
    '-std=c++20',
    '-O3',
    '--expt-relaxed-constexpr',
    '--expt-extended-lambda',
    '-Xptxas',
    '-v',
    '-I',
    shared,
  ];
  const code = [
    '-gencode',
    `arch=compute_${target},code=sm_${target}`,
    '-cubin',
    '-o',
    '/dev/null',
    join(native, file),
  ];
  const result = run(nvcc, [...flags, ...code]);
  if (result.status !== 0) {
    console.error(`Cannot compile '${file}' for 'sm_${target}':\n${result.stderr}`);
    return undefined;
  }
  writeFileSync(kept, result.stderr);
  return result.stderr;
}

/** Kernels as a person writes them, where the machine has a demangler. */
function plainNames(mangled: readonly string[]): Map<string, string> {
  const unique = [...new Set(mangled)];
  const plain = run('c++filt', [], `${unique.join('\n')}\n`).stdout?.split('\n') ?? [];
  const formats = ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_K', 'Q5_K', 'Q6_K'];
  return new Map(
    unique.map((name, index) => {
      const shown = (plain[index] || name)
        .replace(/^void /, '')
        .replace(/\(cortex::matmul::Format\)(\d)/g, (_, format: string) => formats[Number(format)] ?? format)
        .replaceAll('(anonymous namespace)::', '')
        .replace(/cortex::(_GLOBAL__N__\w+::)?/g, '')
        .replace(/\((int|bool|unsigned int)\)/g, '');
      return [name, withoutParameters(shown)];
    }),
  );
}

/** The text before the parenthesis that opens the parameters: the first outside of template arguments. */
function withoutParameters(name: string): string {
  let depth = 0;
  for (const [index, letter] of [...name].entries()) {
    if (letter === '<') depth++;
    else if (letter === '>') depth--;
    else if (letter === '(' && depth === 0) return name.slice(0, index);
  }
  return name;
}
