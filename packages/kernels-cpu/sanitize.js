// Builds an instrumented addon in a folder of its own and runs this package's tests against it:
//   npm run sanitize -- address | undefined
// `thread` builds the runtime without Node instead, which is not instrumented itself, and runs native/test/race_test.cc.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { nodeGyp, nodeHeaders } from './node-gyp.js';

const runtimes = { address: 'libasan.so', undefined: 'libubsan.so', thread: null };
const here = import.meta.dirname;
const kind = process.argv[2];

/** Runs to the end or ends this process with the same failure. */
function run(command, args, options = {}) {
  const { status } = spawnSync(command, args, { cwd: here, stdio: 'inherit', ...options });
  if (status !== 0) process.exit(status ?? 1);
}

function testAddon(runtime) {
  const folder = join(here, '.cortex', `sanitize-${kind}`);
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(here, 'binding.gyp'), join(folder, 'binding.gyp'));
  copyFileSync(join(here, 'package.json'), join(folder, 'package.json'));
  if (!existsSync(join(folder, 'native'))) symlinkSync(join(here, 'native'), join(folder, 'native'));
  const headers = nodeHeaders();
  const nodedir = headers ? [`--nodedir=${headers}`] : [];
  const options = { cwd: folder };
  run(process.execPath, [nodeGyp(), 'configure', '--silent', ...nodedir, '--', `-Dsanitize=${kind}`], options);
  run(process.execPath, [nodeGyp(), 'build', '-j', '2', '--silent', ...nodedir], options);
  const library = spawnSync('g++', [`-print-file-name=${runtime}`], { encoding: 'utf8' }).stdout.trim();
  const ava = join(dirname(createRequire(import.meta.url).resolve('ava')), 'cli.mjs');
  run(process.execPath, [ava, 'packages/kernels-cpu/src/**/*.test.ts', '--serial', '--timeout=30m'], {
    cwd: join(here, '../..'),
    env: {
      ...process.env,
      CORTEX_CPU_ADDON: join(folder, 'build/Release/cortex_cpu.node'),
      LD_PRELOAD: library,
      // Node keeps memory to its end on purpose; V8 reserves more address space than the default shadow check likes.
      ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0',
      UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    },
  });
}

const avx512 = ['-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mavx512vnni', '-mavx2', '-mfma', '-mf16c'];
const instructionSets = {
  avx2: ['-mavx2', '-mfma', '-mf16c'],
  avx512,
  amx: [...avx512, '-mamx-tile', '-mamx-bf16'],
};

function testRaces() {
  const shared = join(dirname(createRequire(import.meta.url).resolve('@helexa/graph/package.json')), 'native');
  const folder = join(here, '.cortex', 'sanitize-thread');
  mkdirSync(folder, { recursive: true });
  const flags = ['-std=c++20', '-O1', '-g', '-fsanitize=thread', '-ffp-contract=off', '-w', `-I${shared}`];
  const own = ['runtime', 'program', 'ops', 'simd', 'matmul'].map((name) => join(here, 'native', name));
  const sources = [...own, join(shared, 'cortex/runtime'), join(shared, 'cortex/program')].flatMap((place) =>
    readdirSync(place)
      .filter((file) => file.endsWith('.cc'))
      .map((file) => join(place, file)),
  );
  const objects = [...sources, join(here, 'native/test/race_test.cc')].map((source) => {
    const object = join(folder, `${basename(join(source, '..'))}-${basename(source)}.o`);
    const set = process.arch === 'x64' ? (source.match(/avx512|avx2|amx/)?.[0] ?? '') : '';
    run('g++', [...flags, ...(instructionSets[set] ?? []), '-c', source, '-o', object]);
    return object;
  });
  const program = join(folder, 'race_test');
  run('g++', ['-fsanitize=thread', ...objects, '-o', program, '-lpthread']);
  run(program, [], { env: { ...process.env, TSAN_OPTIONS: 'halt_on_error=1' } });
}

if (!(kind in runtimes)) {
  process.stderr.write(`Cannot sanitize '${kind ?? ''}': it is none of ${Object.keys(runtimes).join(', ')}\n`);
  process.exit(2);
}
if (kind === 'thread') testRaces();
else testAddon(runtimes[kind]);
