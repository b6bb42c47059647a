import { mkdtempSync, readdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { runCortex } from '../testing/index.js';

const folder = mkdtempSync(join(tmpdir(), 'cortex-cli-'));
test.after.always(() => rm(folder, { recursive: true }));

const commandsFolder = fileURLToPath(new URL('../commands', import.meta.url));
const commands = readdirSync(commandsFolder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.js'))
  .map((file) => relative('.', file).replace(/\.js$/, '').split(/[\\/]/));

interface Failure {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly suggestion?: string;
    readonly exit: number;
  };
}

/** The typed error; warnings may stand before it. */
const errorLine = (stderr: string) => stderr.split('\n').find((line) => line.startsWith('Error: '));

test('every command has help with a summary, a description, examples and --json', async (t) => {
  t.true(commands.length >= 8);
  for (const command of commands) {
    const end = await runCortex([...command, '--help']);
    t.is(end.code, 0, end.stderr);
    for (const part of ['USAGE', 'DESCRIPTION', 'EXAMPLES', '--json'])
      t.true(end.stdout.includes(part), `${command} ${part}`);
  }
});

test('a missing model is one typed line, its exit code, and the same as JSON', async (t) => {
  for (const command of [['up'], ['preflight'], ['bench', '--model']]) {
    const end = await runCortex([...command, './nowhere'], { cwd: folder });
    t.is(end.code, 66, `${command}: ${end.stderr}`);
    t.is(errorLine(end.stderr), "Error: Cannot find model './nowhere'");
    const json = await runCortex([...command, './nowhere', '--json'], { cwd: folder });
    t.is(json.code, 66);
    const { error } = JSON.parse(json.stdout) as Failure;
    t.is(error.code, 'model_not_found');
    t.is(error.exit, 66);
  }
});

test('an unknown configuration key names the file, the line and the nearest key', async (t) => {
  const file = join(folder, 'wrong.toml');
  await writeFile(file, '[gateway]\nlisten = "127.0.0.1:0"\nmetrics_lisen = "127.0.0.1:0"\n');
  for (const command of [['serve'], ['config', 'show', 'gateway']]) {
    const end = await runCortex([...command, '--config', file, '--json']);
    t.is(end.code, 2, end.stderr);
    const { error } = JSON.parse(end.stdout) as Failure;
    t.is(error.code, 'config_invalid');
    t.true(error.message.includes(`'${file}', line 3`), error.message);
    t.regex(error.suggestion ?? '', /metrics_listen/);
  }
});

test('config show tells where each value comes from', async (t) => {
  const file = join(folder, 'right.toml');
  await writeFile(file, 'listen = "127.0.0.1:4000"\n');
  const end = await runCortex(['config', 'show', 'neuron', '--config', file], { env: { NEURON_THREADS: '3' } });
  t.is(end.code, 0, end.stderr);
  t.true(end.stdout.includes(`listen = "127.0.0.1:4000"  # ${file}, line 1`), end.stdout);
  t.true(end.stdout.includes('threads = 3  # NEURON_THREADS'), end.stdout);
  t.true(end.stdout.includes('device = "auto"  # default'), end.stdout);
});

test('a gateway that does not answer is a typed error with a way out', async (t) => {
  const end = await runCortex(['status', '--endpoint', 'http://127.0.0.1:9', '--json']);
  t.is(end.code, 69);
  const { error } = JSON.parse(end.stdout) as Failure;
  t.is(error.code, 'endpoint_unreachable');
  t.is(error.suggestion, 'Start one with: cortex up');
});

test('a device that cannot be had is refused, not replaced', async (t) => {
  const end = await runCortex(['up', '--device', 'cuda', '--json']);
  t.is(end.code, 69);
  t.is((JSON.parse(end.stdout) as Failure).error.code, 'backend_unavailable');
});

test('a flag that does not exist ends with exit code 2, as text and as JSON', async (t) => {
  t.is((await runCortex(['up', '--prot', '1'])).code, 2);
  const json = await runCortex(['up', '--prot', '1', '--json']);
  t.is(json.code, 2);
  t.is((JSON.parse(json.stdout) as Failure).error.code, 'usage');
});

test('bench measures the demonstration model and says what it measured', async (t) => {
  const end = await runCortex([
    'bench',
    '--prompt',
    '16',
    '--generate',
    '4',
    '--repeat',
    '1',
    '--no-bandwidth',
    '--json',
  ]);
  t.is(end.code, 0, end.stderr);
  const report = JSON.parse(end.stdout) as {
    model: string;
    prefill: { mean: number };
    decode: { mean: number };
    traffic: { weightBytes: number };
    fraction: number | null;
  };
  t.is(report.model, 'cortex-tiny');
  t.true(report.prefill.mean > 0);
  t.true(report.decode.mean > 0);
  // Every weight of a tied model is read once per step: the 10.6 MB of the file, norms widened to float32.
  t.true(
    report.traffic.weightBytes > 10_500_000 && report.traffic.weightBytes < 10_800_000,
    String(report.traffic.weightBytes),
  );
  t.is(report.fraction, null);
});

test('preflight says what the demonstration model needs', async (t) => {
  const end = await runCortex(['preflight', '--json']);
  t.is(end.code, 0, end.stderr);
  t.regex(end.stdout, /qwen3/);
});

test('config show tells that a token is set, and never what it is', async (t) => {
  for (const json of [[], ['--json']]) {
    const end = await runCortex(['config', 'show', 'neuron', ...json], {
      cwd: folder,
      env: { HF_TOKEN: 'hf_verysecret' },
    });
    t.is(end.code, 0, end.stderr);
    t.regex(end.stdout, /\(set\)/);
    t.notRegex(end.stdout + end.stderr, /verysecret/);
    t.regex(end.stdout, /HF_TOKEN/);
  }
});

test('preflight refuses amounts that are none, and as many as there are not ranks', async (t) => {
  for (const flags of [
    ['--device-memory', 'much'],
    ['--device-memory', '1GiB,1GiB'],
    ['--bandwidth', '5 apples'],
  ]) {
    const end = await runCortex(['preflight', ...flags, '--json'], { cwd: folder });
    t.is(end.code, 2, end.stderr);
    t.is((JSON.parse(end.stdout) as Failure).error.code, 'flag_invalid');
  }
});
