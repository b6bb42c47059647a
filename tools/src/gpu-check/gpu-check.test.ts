import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Backend, nullBackend, ops, referenceBackend } from '@helexa/graph';
import test from 'ava';
import { repositoryRoot } from '../shared/repository-root.js';
import { buildNativeProgram } from './build-native.js';
import { checkConformance } from './conformance.js';
import { figureGroups, measureFigures } from './figures.js';
import { type Finding, findingLine } from './finding.js';
import { recordCases } from './record-cases.js';
import { renderReport } from './report.js';
import { runStage } from './run-stage.js';
import { kernelsFolder } from './stages.js';

const emulated = join(kernelsFolder(), 'lib/libcortex_cuda_emulated.so');
const withLibrary = existsSync(emulated) ? test : test.skip;
/** Some numbers off by a hundredth: over the bound of the case, far under what would look odd. */
const wrongNorm = () =>
  referenceBackend({
    overrides: {
      rms_norm: (context) => {
        ops.rms_norm.reference(context);
        const y = context.output('y');
        for (let row = 0; row < context.rows; row++) y.data[y.offset + row * y.stride]! *= 1.01;
      },
    },
  });

function folderOf(t: { teardown(action: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'cortex-gpu-check-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

const check = (words: readonly string[]) =>
  spawnSync(process.execPath, [join(repositoryRoot, 'tools/dist/gpu-check.js'), ...words], { encoding: 'utf8' });

withLibrary('gpu-check runs its stages on a library that is given, and writes what it found', (t) => {
  const out = folderOf(t);
  const words = ['--library', emulated, '--filter', 'rms_norm of width', '--commit', 'abc1234', '--out', out];
  const { status, stdout } = check([...words, '--stages', 'build,smoke,conformance,parity']);
  t.is(status, 0, stdout);
  const report = readFileSync(join(out, 'cuda.md'), 'utf8');
  t.regex(report, /commit abc1234/);
  t.regex(report, /^\| smoke \| [1-9]\d* \| 0 \| 0 \|/m);
  t.regex(report, /- skipped: parity: the stage: no fixtures are given/);
  t.regex(stdout, /0 wrong; all of it is in/);
});

test('gpu-check ends with 69 and the reason where there is no library or driver', (t) => {
  const { status, stderr } = check([
    '--library',
    '/nowhere/lib.so',
    '--out',
    folderOf(t),
    '--stages',
    'smoke,conformance',
  ]);
  t.is(status, 69);
  t.regex(stderr, /^Nothing is checked: .*library '\/nowhere\/lib.so' is not there/m);
});

test('checkConformance tells a wrong answer', async (t) => {
  const verdicts = async (backend: Backend) => {
    const findings: Finding[] = [];
    await checkConformance(
      async () => backend,
      /: rms_norm of width/,
      (finding) => findings.push(finding),
      1,
    );
    return findings.map(({ verdict }) => verdict);
  };
  t.deepEqual(await verdicts(referenceBackend()), ['ok']);
  t.deepEqual(await verdicts(wrongNorm()), ['wrong']);
});

test('runStage tells of a process that fails, that crashes and that does not end', async (t) => {
  const log = join(folderOf(t), 'log');
  const run = async (script: string, limitMs = 60_000) => {
    const { findings } = await runStage({ command: process.execPath, args: ['-e', script], log, limitMs }, () => {});
    return findings.map(({ verdict, text }) => `${verdict} ${text}`);
  };
  const good = findingLine({ what: 'a', verdict: 'ok', text: 'b' });
  t.deepEqual(await run(`console.log(${JSON.stringify(good)})`), ['ok b']);
  t.deepEqual(await run("console.error('why'); process.exit(3)"), ['wrong ended with 3: why']);
  t.deepEqual(await run("process.kill(process.pid, 'SIGSEGV'); setInterval(() => {}, 1000)"), [
    'wrong ended by SIGSEGV',
  ]);
  t.deepEqual(await run('setInterval(() => {}, 1000)', 200), ['wrong stopped after 0.2 s']);
});

test('measureFigures tells every figure of a group once, with its share of copy bandwidth', async (t) => {
  const findings: Finding[] = [];
  let clock = 0n;
  await measureFigures({ ...figureGroups['quantised']!, like: 'Qwen3-0.6B' }, nullBackend(), {
    layers: 1,
    copyBandwidth: 1e9,
    most: 4,
    tell: (finding) => findings.push(finding),
    now: () => (clock += 1_000_000_000n),
  });
  t.deepEqual(
    findings.map(({ what }) => what.replace('Qwen3-0.6B Q4_K_M: ', '')),
    ['load', 'decode, 1 at once', 'first token after 4'],
  );
  // 64 steps in the second that the clock says: each reads the head and one layer.
  const { value, share } = findings[1]!.measured!;
  t.is(value, 64);
  t.true(share! > 1 && share! < 20, `${share}`);
});

test('renderReport says what reaches its goal, and times are the better the less', (t) => {
  const figure = (what: string, value: number, unit: 'ms' | 'tokens/s') =>
    ({
      what,
      verdict: 'figure',
      text: '',
      measured: { value, unit, must: unit === 'ms' ? 20 : 10, aim: unit === 'ms' ? 10 : 20 },
    }) as const;
  const findings = [
    figure('a', 15, 'ms'),
    figure('b', 15, 'tokens/s'),
    figure('c', 25, 'ms'),
    figure('d', 25, 'tokens/s'),
  ];
  const conditions = { date: 'now', card: 'card', driver: '1', commit: 'c' };
  const text = renderReport(conditions, [{ stage: 's', seconds: 1, findings }]);
  for (const [name, word] of Object.entries({ a: 'must', b: 'must', c: 'missed', d: 'aim' }))
    t.regex(text, new RegExp(`^\\| ${name} \\|.*\\| ${word} \\|`, 'm'));
});

withLibrary(
  'gpu_cases runs recorded cases without Node, and tells a wrong answer and a file that ends early',
  async (t) => {
    const folder = folderOf(t);
    const program = join(folder, 'gpu-cases');
    if (!buildNativeProgram(program)) return t.pass('no C++ compiler here');
    const run = (name: string, file: Uint8Array) => {
      const cases = join(folder, name);
      writeFileSync(cases, file);
      return spawnSync(program, [emulated, cases], { encoding: 'utf8' });
    };
    const filter = /^rms_norm of width/;
    const right = await recordCases(referenceBackend({ fusions: [] }), filter);
    t.true(right.names.length > 0);
    const good = run('right', right.file);
    t.is(good.status, 0, good.stdout);
    const { file } = await recordCases(referenceBackend({ fusions: [] }), filter, wrongNorm());
    const bad = run('wrong', file);
    t.is(bad.status, 1);
    t.regex(bad.stdout, /"verdict":"wrong","text":"step 0: distance /);
    t.is(run('short', right.file.subarray(0, right.file.length - 400)).status, 1);
    t.is(run('none', new Uint8Array(8)).status, 69);
  },
);
