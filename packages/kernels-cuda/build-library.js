// Builds the library of the kernels: `node build-library.js emulated | cuda [--arch 90]`.
//
//   emulated  by a plain C++ compiler against native/emulation: what tests run on, never a device
//   cuda      by nvcc for every target, or for the one that --arch names; needs no GPU and no driver
//
// One object per file and target set; a file is compiled again when it, or what it includes, or its command changed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const shared = join(dirname(createRequire(import.meta.url).resolve('@helexa/graph/package.json')), 'native');
const native = join(here, 'native');
const jobs = 2;

/** What is compiled for; the last also as PTX, which later devices translate when they load it. */
const targets = ['80', '86', '89', '90', '100', '120'];
/** Most that the library of one platform may weigh. */
const budgetBytes = 80e6;

const filesIn = (folder, pattern) =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => pattern.test(name))
        .sort()
        .map((name) => join(folder, name))
    : [];

const programSources = () => [
  ...filesIn(join(shared, 'cortex/program'), /\.cc$/),
  ...['runtime', 'ops', 'weights', 'library'].flatMap((name) => filesIn(join(native, name), /\.(cc|cu)$/)),
];

const hasProgram = (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;

function emulatedPlan() {
  const compiler = process.env.CXX ?? ['g++', 'c++', 'clang++'].find(hasProgram);
  if (!compiler) return { skipped: 'no C++ compiler' };
  const flags = ['-std=c++20', '-O1', '-g1', '-fPIC', '-fvisibility=hidden', '-w', '-DCORTEX_CUDA_EMULATED'];
  const include = ['-I', join(native, 'emulation'), '-I', shared];
  return {
    output: join(here, 'lib/libcortex_cuda_emulated.so'),
    objects: join(here, 'build-library/emulated'),
    sources: [
      ...programSources(),
      ...filesIn(join(native, 'emulation'), /\.cc$/).filter((file) => !/_test\.cc$/.test(file)),
    ],
    compile: (source, object) => [compiler, [...flags, ...include, '-x', 'c++', '-MMD', '-c', source, '-o', object]],
    link: (objects, output) => [compiler, ['-shared', '-o', output, ...objects, '-ldl', '-lpthread']],
  };
}

function cudaPlan(arch) {
  const nvcc = process.env.NVCC ?? ['nvcc', '/usr/local/cuda/bin/nvcc'].find(hasProgram);
  if (!nvcc) return { skipped: 'no nvcc; the CUDA toolkit 13 has it' };
  const wanted = arch ? [arch] : targets;
  const last = wanted.at(-1);
  const code = [
    ...wanted.flatMap((target) => ['-gencode', `arch=compute_${target},code=sm_${target}`]),
    ...(arch ? [] : ['-gencode', `arch=compute_${last},code=compute_${last}`]),
  ];
  const flags = [
    '-std=c++20',
    '-O3',
    '--expt-relaxed-constexpr',
    '--expt-extended-lambda',
    '-Xcompiler',
    '-fPIC,-fvisibility=hidden',
  ];
  return {
    output: join(here, 'lib/libcortex_cuda.so'),
    objects: join(here, `build-library/cuda-${wanted.join('-')}`),
    sources: programSources(),
    compile: (source, object) => [nvcc, [...flags, ...code, '-I', shared, '-MMD', '-c', source, '-o', object]],
    // The runtime is in the library: a machine without the toolkit, or without a driver, can still open it.
    link: (objects, output) => [
      nvcc,
      [
        '-shared',
        '-cudart',
        'static',
        ...code,
        '-Xlinker',
        '--exclude-libs,ALL,-z,relro,-z,now',
        '-o',
        output,
        ...objects,
      ],
    ],
    budgetBytes,
  };
}

const changedAt = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

/** Latest change of what a dependency file names; infinite where there is none, or where a name is gone. */
function newestInput(dependencies) {
  if (!existsSync(dependencies)) return Number.POSITIVE_INFINITY;
  const names = readFileSync(dependencies, 'utf8').replaceAll('\\\n', ' ').split(/\s+/).slice(1).filter(Boolean);
  return Math.max(...names.map((name) => changedAt(name) || Number.POSITIVE_INFINITY));
}

/** Runs a program to its end; resolves to whether it succeeded. */
const run = ([command, args]) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd: here, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', () => resolve(false));
    child.on('close', (status) => resolve(status === 0));
  });

/** Builds what changed. Resolves to an exit code. */
async function build(plan) {
  mkdirSync(plan.objects, { recursive: true });
  mkdirSync(dirname(plan.output), { recursive: true });
  const work = plan.sources.map((source) => {
    const inside = relative(source.startsWith(shared) ? shared : native, source).replaceAll('/', '-');
    const object = join(plan.objects, `${inside}.o`);
    const command = plan.compile(source, object);
    const line = JSON.stringify(command);
    const kept = `${object}.command`;
    const isFresh =
      existsSync(kept) &&
      readFileSync(kept, 'utf8') === line &&
      changedAt(object) > newestInput(object.replace(/\.o$/, '.d'));
    return { object, command, line, kept, isFresh };
  });
  const stale = work.filter(({ isFresh }) => !isFresh);
  let isGood = true;
  const next = async () => {
    for (let item = stale.shift(); item && isGood; item = stale.shift()) {
      if (await run(item.command)) writeFileSync(item.kept, item.line);
      else isGood = false;
    }
  };
  const count = stale.length;
  await Promise.all(Array.from({ length: jobs }, next));
  if (!isGood) return 1;
  if (count > 0 || !existsSync(plan.output)) {
    const objects = work.map(({ object }) => object);
    if (!(await run(plan.link(objects, plan.output)))) return 1;
  }
  const bytes = statSync(plan.output).size;
  const budget = plan.budgetBytes ? ` of ${(plan.budgetBytes / 1e6).toFixed(0)}` : '';
  process.stdout.write(
    `${relative(process.cwd(), plan.output)}: ${(bytes / 1e6).toFixed(1)}${budget} MB, ${count} files compiled\n`,
  );
  if (!plan.budgetBytes || bytes <= plan.budgetBytes) return 0;
  process.stderr.write(`Cannot ship the library: it has ${bytes} bytes; at most ${plan.budgetBytes} are wanted\n`);
  return 1;
}

const [kind, ...rest] = process.argv.slice(2);
const arch = rest[0] === '--arch' ? rest[1] : undefined;
if (!['emulated', 'cuda'].includes(kind) || (rest.length > 0 && !targets.includes(arch))) {
  process.stderr.write(`Cannot build: 'emulated', 'cuda' or 'cuda --arch ${targets.join(' | ')}' is wanted\n`);
  process.exitCode = 2;
} else {
  const plan = kind === 'emulated' ? emulatedPlan() : cudaPlan(arch);
  if (plan.skipped) process.stdout.write(`The ${kind} library is not built: ${plan.skipped}\n`);
  else process.exitCode = await build(plan);
}
