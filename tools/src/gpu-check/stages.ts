import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Finding } from './finding.js';
import { readFinding } from './finding.js';
import type { StageProcess } from './run-stage.js';

export interface Stage {
  readonly name: string;
  /** Seconds that it may take. */
  readonly limit: number;
  /** What to run, or why there is nothing to run. */
  readonly plan: () => Omit<StageProcess, 'log' | 'limitMs'> | string;
}

/** How the stages are run: words for a stage's own process, and what it is to look at. */
export interface StagePlan {
  /** Compiled folder of the tools. */
  readonly folder: string;
  /** Words that every stage takes: library, filter, layers. */
  readonly shared: readonly string[];
  readonly library: string | null;
  /** Compute capability of the card, such as 90; null: unknown. */
  readonly capability: string | null;
  readonly fixtures: readonly string[];
  /** The program that runs cases without Node, and its cases; null: not here. */
  readonly native: { readonly program: string; readonly cases: string; readonly library: string } | null;
  /** Copy bandwidth in bytes per second, once it is known. */
  readonly copyBandwidth: () => number;
}

/** Folder of the package of the kernels, as it is installed here. */
export const kernelsFolder = (): string =>
  dirname(createRequire(import.meta.url).resolve('@helexa/kernels-cuda/package.json'));

/** Every stage in the order of what is known soonest: what follows a stage that is stopped is run all the same. */
export function stagesOf(plan: StagePlan): readonly Stage[] {
  const own = (name: string, extra: () => readonly string[] = () => []) => ({
    command: process.execPath,
    args: [join(plan.folder, 'gpu-check.js'), '--stage', name, ...plan.shared, ...extra()],
  });
  const figures = (name: string): Stage => ({
    name,
    limit: 90,
    plan: () => own(name, () => ['--copy-bandwidth', String(plan.copyBandwidth())]),
  });
  return [
    { name: 'build', limit: 300, plan: () => buildPlan(plan) },
    { name: 'smoke', limit: 60, plan: () => own('smoke') },
    { name: 'conformance', limit: 120, plan: () => own('conformance') },
    { name: 'copy', limit: 30, plan: () => nativePlan(plan, ({ program }) => [program, 'copy']) },
    figures('bf16'),
    figures('quantised'),
    { name: 'parity', limit: 120, plan: () => parityPlan(plan) },
    figures('hybrid'),
    { name: 'native', limit: 60, plan: () => nativePlan(plan, (one) => [one.program, one.library, one.cases]) },
    { name: 'sanitizer', limit: 120, plan: () => sanitizerPlan(own('conformance')) },
  ];
}

function buildPlan({ library, capability }: StagePlan): ReturnType<Stage['plan']> {
  if (library !== null) return `a library is given: ${library}`;
  const folder = kernelsFolder();
  const hasCompiler = ['nvcc', '/usr/local/cuda/bin/nvcc'].some(
    (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
  );
  if (!hasCompiler) return 'no nvcc here; the library that is there is taken';
  // Two targets share a generation where no kernel knows the difference.
  const targets = ['80', '86', '89', '90', '100', '120'];
  const arch = targets.filter((target) => Number(target) <= Number(capability ?? 0)).at(-1);
  const only = arch === undefined ? [] : ['--arch', arch];
  return {
    command: process.execPath,
    args: [join(folder, 'build-library.js'), 'cuda', ...only],
    read: (line) => (/files compiled$/.test(line) ? { what: 'library', verdict: 'ok', text: line } : null),
  };
}

function parityPlan({ folder, fixtures, library }: StagePlan): ReturnType<Stage['plan']> {
  const present = fixtures.filter((path) => existsSync(path));
  if (present.length === 0) return 'no fixtures are given';
  const given = library === null ? [] : ['--library', library];
  return {
    command: process.execPath,
    args: [
      join(folder, 'parity.js'),
      '--device',
      'cuda',
      '--json',
      '--skip-unsupported',
      '--tp',
      '1,2',
      ...given,
      ...present,
    ],
    explained: [1],
    read: readParityLine,
  };
}

function readParityLine(line: string): Finding | null {
  if (!line.startsWith('{')) return null;
  const { model, setting, case: name, mode, verdict, text } = JSON.parse(line) as Readonly<Record<string, string>>;
  const verdicts: Readonly<Record<string, Finding['verdict']>> = { ok: 'ok', FAIL: 'wrong' };
  return { what: `${model} ${setting} ${name} ${mode}`, verdict: verdicts[verdict!] ?? 'skipped', text: text! };
}

function nativePlan(
  { native }: StagePlan,
  words: (native: NonNullable<StagePlan['native']>) => readonly string[],
): ReturnType<Stage['plan']> {
  if (!native) return 'the native program is not here';
  if (words(native).includes(native.cases) && !existsSync(native.cases)) return 'no recorded cases here';
  const [command, ...args] = words(native) as [string, ...string[]];
  return { command, args, explained: [1] };
}

function sanitizerPlan({ command, args }: { command: string; args: readonly string[] }): ReturnType<Stage['plan']> {
  const name = ['compute-sanitizer', '/usr/local/cuda/bin/compute-sanitizer'].find(
    (one) => spawnSync(one, ['--version'], { stdio: 'ignore' }).status === 0,
  );
  if (!name) return 'no compute-sanitizer here';
  return {
    command: name,
    args: ['--tool', 'memcheck', '--error-exitcode', '9', '--target-processes', 'all', command, ...args],
    explained: [1, 9],
    read: (line) => {
      const summary = /ERROR SUMMARY: (\d+) error/.exec(line);
      if (!summary) return readFinding(line);
      return { what: 'memcheck', verdict: summary[1] === '0' ? 'ok' : 'wrong', text: `${summary[1]} errors` };
    },
  };
}
