/**
 * Makes one folder, and an archive of it, that proves the CUDA backend on a machine without Node and without a network: this
 * Node, the built packages with what they need to run, the library or its sources, recorded cases, and fixtures.
 * There: unpack, then `sh gpu-check --commit ID`.
 *
 * @example npm run gpu-check:pack -- --fixtures path/to/checkpoints build/gpu-check
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CortexError } from '@helexa/core';
import { buildNativeProgram } from './gpu-check/build-native.js';
import { openDevice } from './gpu-check/open-device.js';
import { recordCases } from './gpu-check/record-cases.js';
import { kernelsFolder } from './gpu-check/stages.js';
import { repositoryRoot } from './shared/repository-root.js';
import { runTool } from './shared/run-tool.js';

/** Most that the archive may weigh. */
const budgetBytes = 60e6;

/** Packages whose compiled code a check runs. The CLI gives its bench driver alone, so what else it needs stays behind. */
const packages = ['core', 'graph', 'arch-llama', 'arch-qwen3', 'arch-qwen3-next', 'neuron', 'kernels-cuda'];
const isShipped = (path: string): boolean => !/\.(test|fixture)\.|\.(map|d\.ts|tsbuildinfo)$/.test(path);

await runTool(async (args) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      library: { type: 'string' },
      fixtures: { type: 'string', multiple: true, default: [] },
      filter: { type: 'string', default: '' },
      'no-node': { type: 'boolean', default: false },
    },
  });
  const [out] = positionals;
  if (out === undefined || positionals.length > 1) {
    console.error(
      'Usage: npm run gpu-check:pack -- [--library FILE] [--fixtures PATH]... [--filter CASES] [--no-node] OUT',
    );
    return 2;
  }
  const folder = resolve(out);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  copyPackages(folder, values.library);
  for (const path of values.fixtures)
    cpSync(path, join(folder, 'fixtures', basename(path)), { recursive: true, dereference: true });
  cpSync(join(repositoryRoot, 'tools/gpu-check.sh'), join(folder, 'gpu-check'));
  if (!buildNativeProgram(join(folder, 'gpu-cases'))) console.log('No C++ compiler: the native program is not packed');
  // All cases weigh as much as Node does: a machine gets what it needs of the two.
  if (values['no-node']) await writeCases(folder, new RegExp(values.filter));
  else runOrRefuse('xz', ['-T2', '-6', '-c', process.execPath], join(folder, 'node.xz'));
  const archive = `${folder}.tar.gz`;
  runOrRefuse('tar', ['-C', dirname(folder), '-czf', archive, basename(folder)]);
  const bytes = statSync(archive).size;
  console.log(`${archive}: ${(bytes / 1e6).toFixed(1)} of ${budgetBytes / 1e6} MB`);
  if (bytes <= budgetBytes) return 0;
  console.error(`Cannot ship the archive: it has ${bytes} bytes; at most ${budgetBytes} are wanted`);
  return 1;
});

function runOrRefuse(command: string, args: readonly string[], output?: string): void {
  const done = spawnSync(command, args, {
    maxBuffer: 1 << 29,
    stdio: ['ignore', output ? 'pipe' : 'inherit', 'inherit'],
  });
  if (done.status !== 0)
    throw new CortexError('internal_error', { reason: `${command} ended with ${done.status ?? done.error?.message}` });
  if (output) writeFileSync(output, done.stdout);
}

/** Lays packages out as an installation does, so that each finds what it imports. */
function copyPackages(folder: string, library: string | undefined): void {
  const modules = join(folder, 'node_modules');
  const wanted: string[] = [];
  for (const name of packages) {
    const from = join(repositoryRoot, 'packages', name);
    const to = join(modules, '@helexa', name);
    cpSync(join(from, 'dist'), join(to, 'dist'), { recursive: true, filter: isShipped });
    cpSync(join(from, 'package.json'), join(to, 'package.json'));
    wanted.push(...dependenciesOf(from));
  }
  const cli = join(modules, '@helexa/cortex');
  cpSync(join(repositoryRoot, 'packages/cli/dist/bench'), join(cli, 'dist/bench'), {
    recursive: true,
    filter: isShipped,
  });
  cpSync(join(repositoryRoot, 'packages/cli/package.json'), join(cli, 'package.json'));
  for (const name of ['native', 'build-library.js', 'build/Release/cortex_cuda.node', 'prebuilds']) {
    const from = join(kernelsFolder(), name);
    const isSource = (path: string) => !/emulation|_test\.cc$/.test(path);
    if (existsSync(from))
      cpSync(from, join(modules, '@helexa/kernels-cuda', name), { recursive: true, filter: isSource });
  }
  cpSync(join(repositoryRoot, 'packages/graph/native'), join(modules, '@helexa/graph/native'), { recursive: true });
  if (library !== undefined) cpSync(library, join(modules, '@helexa/kernels-cuda/lib/libcortex_cuda.so'));
  copyDependencies(wanted, modules);
  cpSync(join(repositoryRoot, 'tools/dist'), join(folder, 'tools/dist'), { recursive: true, filter: isShipped });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
}

function dependenciesOf(folder: string): string[] {
  const json = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly dependencies?: Readonly<Record<string, string>>;
  };
  return Object.keys(json.dependencies ?? {}).filter((name) => !name.startsWith('@helexa/'));
}

/** Copies packages and what they depend on. Optional ones, such as other platforms' binaries, stay behind. */
function copyDependencies(names: readonly string[], modules: string): void {
  const left = [...names];
  const done = new Set<string>();
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    const from = join(repositoryRoot, 'node_modules', name);
    if (done.has(name) || !existsSync(from)) continue;
    done.add(name);
    cpSync(from, join(modules, name), {
      recursive: true,
      dereference: true,
      filter: (path) => !/\.(map|md|d\.[cm]?ts)$/.test(path),
    });
    left.push(...dependenciesOf(from));
  }
}

/** Records cases with the emulated library, which has the ops and the fusions of the one for devices. */
async function writeCases(folder: string, filter: RegExp): Promise<void> {
  const library = join(kernelsFolder(), 'lib/libcortex_cuda_emulated.so');
  const backend = await openDevice({ library });
  try {
    const { file, names, left } = await recordCases(backend, filter);
    writeFileSync(join(folder, 'cases.bin'), file);
    const without = left.length > 0 ? `, ${left.length} left out for want of an op` : '';
    console.log(`${names.length} cases for the native program${without}`);
  } finally {
    await backend.dispose();
  }
}
