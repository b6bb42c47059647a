/**
 * Packs every package, publishes them to a registry on loopback, and uses cortex as somebody who installed it would.
 * Speaks TAP: one line per check, then `# pass N` and `# fail N`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CortexError } from '@helexa/core';
import { type ProcessOptions, runCortex, startCortex } from '@helexa/cortex/testing';

import { writeByteTokenizer } from './byte-tokenizer.js';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const limitMs = 8 * 60_000;

interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly text: string;
}

/** Runs a program to its end; it is killed when the whole script takes too long. */
function execute(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: AbortSignal.timeout(limitMs),
    });
    let stdout = '';
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      stdout += part;
      text += part;
    });
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, text }));
  });
}

/** A check that failed, with what was seen. */
const failed = (reason: string): CortexError => new CortexError('internal_error', { reason });

async function npm(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const own = process.env['npm_execpath'];
  const output = own?.endsWith('.js')
    ? await execute(process.execPath, [own, ...args], cwd, env)
    : await execute('npm', args, cwd, env);
  if (output.code !== 0) throw failed(`npm ${args.join(' ')} ended with ${output.code}\n${output.text}`);
  return output.stdout;
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });

/** Counts checks and prints them as TAP. */
class Report {
  passed = 0;
  failures = 0;

  async check<Value>(name: string, work: () => Promise<Value>): Promise<Value | undefined> {
    const begun = Date.now();
    try {
      const value = await work();
      this.passed += 1;
      process.stdout.write(
        `ok ${this.passed + this.failures} - ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)\n`,
      );
      return value;
    } catch (error) {
      this.failures += 1;
      const words = String(error instanceof Error ? error.message : error).replaceAll('\n', '\n    ');
      process.stdout.write(`not ok ${this.passed + this.failures} - ${name}\n    ${words}\n`);
      return undefined;
    }
  }

  end(): void {
    process.stdout.write(`1..${this.passed + this.failures}\n# pass ${this.passed}\n# fail ${this.failures}\n`);
    process.exitCode = this.failures === 0 ? 0 : 1;
  }
}

interface Packed {
  readonly name: string;
  readonly file: string;
  readonly files: readonly string[];
}

/** Packs one workspace as it would be published, and looks at what lies in it. */
async function pack(workspace: string, into: string): Promise<Packed> {
  const output = await npm(['pack', '--json', '--pack-destination', into, '--workspace', workspace], root);
  const [entry] = JSON.parse(output.slice(output.indexOf('[\n'))) as [
    { name: string; filename: string; files: { path: string }[] },
  ];
  const files = entry.files.map((file) => file.path);
  const strange = files.filter((file) => /\.test\.|tsbuildinfo|(^|\/)fixtures\//.test(file));
  if (strange.length > 0) throw failed(`'${entry.name}' would publish ${strange.slice(0, 3).join(', ')}`);
  if (!files.includes('README.md')) throw failed(`'${entry.name}' would publish no README.md`);
  if (!files.includes('LICENSE')) throw failed(`'${entry.name}' would publish no LICENSE`);
  if (!files.some((file) => file.startsWith('dist/'))) throw failed(`'${entry.name}' would publish nothing compiled`);
  return { name: entry.name, file: join(into, entry.filename), files };
}

/** A registry on loopback that holds our packages and passes other names on to the configured registry. */
async function startRegistry(folder: string): Promise<{ url: string; close: () => Promise<void> }> {
  const upstream = (await npm(['config', 'get', 'registry'], root)).trim();
  const port = await freePort();
  const config = join(folder, 'verdaccio.yaml');
  await writeFile(
    config,
    JSON.stringify({
      storage: join(folder, 'storage'),
      uplinks: { upstream: { url: upstream, timeout: '30s', maxage: '30m' } },
      packages: {
        '@helexa/*': { access: '$all', publish: '$anonymous $all', unpublish: '$all' },
        '**': { access: '$all', proxy: 'upstream' },
      },
      max_body_size: '200mb',
      web: { enable: false },
      log: { type: 'stdout', format: 'json', level: 'warn' },
    }),
  );
  const child: ChildProcess = spawn(
    process.execPath,
    [join(root, 'node_modules/verdaccio/bin/verdaccio'), '--config', config, '--listen', `127.0.0.1:${port}`],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  const close = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  const deadline = Date.now() + 60_000;
  while (child.exitCode === null && Date.now() < deadline) {
    const answer = await fetch(`${url}/-/ping`).catch(() => null);
    if (answer?.ok) return { url, close };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await close();
  throw failed('the registry on loopback did not start');
}

/** Asks a served model and returns what it said. */
async function answerOf(url: string, model: string): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }], max_tokens: 32, temperature: 0 }),
  });
  const text = await response.text();
  if (!response.ok) throw failed(`status ${response.status}: ${text}`);
  const body = JSON.parse(text) as {
    usage: { completion_tokens: number };
    choices: { message: { content: string } }[];
  };
  if (!(body.usage.completion_tokens > 0)) throw failed(`no token was generated: ${text}`);
  return body.choices[0]?.message.content ?? '';
}

/** Serves a model with an installed cortex, asks it once and ends it. */
async function serveAndAsk(args: readonly string[], options: ProcessOptions): Promise<string> {
  const cortex = await startCortex(args, options);
  const asked = await answerOf(cortex.address.url, cortex.address.model).then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error }),
  );
  const end = await cortex.stop();
  if ('error' in asked) throw asked.error;
  if (end.code !== 0) throw failed(`cortex up ended with ${end.code}\n${end.stderr}`);
  if (end.stderr.includes('reference backend')) throw failed(`the native kernels were not used\n${end.stderr}`);
  return asked.answer;
}

async function main(folder: string, report: Report): Promise<void> {
  const { workspaces } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { workspaces: string[] };
  const tarballs = join(folder, 'tarballs');
  const prefix = join(folder, 'prefix');
  const home = join(folder, 'home');
  for (const each of [tarballs, prefix, home]) await mkdir(each);
  const packed: Packed[] = [];
  for (const workspace of workspaces.filter((name) => name.startsWith('packages/'))) {
    const result = await report.check(`${workspace} packs what it should`, () => pack(workspace, tarballs));
    if (result) packed.push(result);
  }

  const registry = await report.check('a registry starts on loopback', () => startRegistry(folder));
  if (!registry) return;
  try {
    const published = await report.check('every package can be published', async () => {
      for (const { file } of packed)
        await npm(
          [
            'publish',
            file,
            '--loglevel',
            'error',
            '--registry',
            registry.url,
            `--//${new URL(registry.url).host}/:_authToken=none`,
          ],
          folder,
        );
      return true;
    });
    if (!published) return;

    const environment = {
      HOME: home,
      XDG_DATA_HOME: join(home, 'data'),
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_CACHE_HOME: join(home, 'cache'),
      CORTEX_NPM_REGISTRY: registry.url,
      npm_config_registry: registry.url,
      npm_config_cache: join(folder, 'npm-cache'),
    };
    await writeFile(join(prefix, 'package.json'), '{ "private": true, "type": "module" }');
    const installed = await report.check('the CLI installs into an empty folder (needs the npm registry)', async () => {
      await npm(['install', '--no-audit', '--no-fund', '@helexa/cortex'], prefix, environment);
      return true;
    });
    if (!installed) return;

    const program = join(prefix, 'node_modules/@helexa/cortex/bin/run.js');
    const options: ProcessOptions = { program, cwd: prefix, env: environment };
    await report.check('the installed cortex serves the demonstration model', async () => {
      const answer = await serveAndAsk([], options);
      if (!/hello/i.test(answer)) throw failed(`it answered '${answer}'`);
    });

    const llama = join(folder, 'llama');
    await cp(join(root, 'packages/arch-llama/fixtures/tiny'), llama, { recursive: true });
    await writeByteTokenizer(llama);
    await report.check('a llama model without its plugin is refused with the command that helps', async () => {
      const end = await runCortex(['up', llama, '--port', '0', '--neuron-port', '0', '--metrics-port', '0'], options);
      if (end.code !== 69 || !end.stderr.includes('cortex plugins install @helexa/arch-llama'))
        throw failed(`exit code ${end.code}\n${end.stderr}`);
    });
    await report.check('cortex plugins install llama finds @helexa/arch-llama', async () => {
      const end = await runCortex(['plugins', 'install', 'llama'], options);
      if (end.code !== 0) throw failed(`exit code ${end.code}\n${end.stdout}\n${end.stderr}`);
      const list = await runCortex(['plugins'], options);
      if (!/llama/.test(list.stdout)) throw failed(`cortex plugins lists\n${list.stdout}`);
    });
    await report.check('the llama model is then served', () => serveAndAsk([llama], options));
    await report.check('cortex plugins uninstall takes the plugin away', async () => {
      const end = await runCortex(['plugins', 'uninstall', '@helexa/arch-llama'], options);
      if (end.code !== 0) throw failed(`exit code ${end.code}\n${end.stdout}\n${end.stderr}`);
    });
    await report.check('cortex plugins link serves a plugin from its folder', async () => {
      const end = await runCortex(['plugins', 'link', '--no-install', join(root, 'packages/arch-llama')], options);
      if (end.code !== 0) throw failed(`exit code ${end.code}\n${end.stdout}\n${end.stderr}`);
      await serveAndAsk([llama], options);
    });

    const others = packed.map(({ name }) => name).filter((name) => name !== '@helexa/cortex');
    const libraries = join(folder, 'libraries');
    await mkdir(libraries);
    await writeFile(join(libraries, 'package.json'), '{ "private": true, "type": "module" }');
    const together = await report.check('every library installs into an empty folder', async () => {
      await npm(['install', '--no-audit', '--no-fund', ...others], libraries, environment);
      return true;
    });
    if (!together) return;
    for (const name of others)
      await report.check(`${name} can be imported`, async () => {
        const script = `const all = await import('${name}'); if (Object.keys(all).length === 0) process.exit(3);`;
        const end = await execute(process.execPath, ['--input-type=module', '-e', script], libraries);
        if (end.code !== 0) throw failed(`exit code ${end.code}\n${end.text}`);
      });
  } finally {
    await registry.close();
  }
}

const report = new Report();
const folder = await mkdtemp(join(tmpdir(), 'cortex-packaging-'));
try {
  await main(folder, report);
} finally {
  await rm(folder, { recursive: true, force: true });
}
report.end();
