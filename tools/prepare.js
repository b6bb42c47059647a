// What must be true before anything runs from a clone: Node, node_modules, compiled TypeScript, native addon, CLI manifest.
// Plain JavaScript without a dependency: it runs before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const nodePackages = join(root, 'node_modules');

/** Milliseconds since the epoch of the last change, or 0 when the file is absent. */
export const changedAt = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

/** Latest change of any file below a folder. */
export const newestIn = (folder) =>
  !existsSync(folder)
    ? 0
    : Math.max(
        0,
        ...readdirSync(folder, { withFileTypes: true }).map((entry) =>
          entry.isDirectory() ? newestIn(join(folder, entry.name)) : changedAt(join(folder, entry.name)),
        ),
      );

/** Why this Node cannot run cortex, or null. */
export function nodeProblem(version = process.versions.node) {
  const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '');
  const [major, minor] = version.split('.').map(Number);
  const [wantedMajor, wantedMinor] = wanted.split('.').map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return null;
  return `Cannot start: this is Node ${version}; Node ${wanted} or newer is wanted`;
}

/**
 * Runs a program to its end, from the root unless told otherwise. `quiet` keeps its output and shows it only on failure.
 * Resolves to its exit code; a program that cannot be started gives 127.
 */
export function run(command, args, { cwd = root, env = process.env, quiet = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    });
    const kept = [];
    child.stdout?.on('data', (chunk) => kept.push(chunk));
    child.stderr?.on('data', (chunk) => kept.push(chunk));
    child.on('error', (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve(127);
    });
    child.on('close', (code, signal) => {
      if (quiet && (code !== 0 || signal)) process.stderr.write(Buffer.concat(kept));
      resolve(code ?? 1);
    });
  });
}

/** Runs a package's own program with this Node, never through a shell. */
export const runTool = (packageName, file, args, options) =>
  run(process.execPath, [join(nodePackages, packageName, file), ...args], options);

/** Runs npm: the one that started us, else the one in PATH. */
export function runNpm(args, options) {
  const own = process.env.npm_execpath;
  if (own && /\.[cm]?js$/.test(own)) return run(process.execPath, [own, ...args], options);
  return run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, options);
}

/** True when node_modules is there and not older than the lock file. */
export const isInstalled = () =>
  changedAt(join(nodePackages, '.package-lock.json')) >= changedAt(join(root, 'package-lock.json'));

/** Installs by the lock file when needed. */
export async function install(say) {
  if (isInstalled()) return 0;
  say('Installing packages (npm ci), about a minute the first time');
  return runNpm(['ci', '--no-audit', '--no-fund'], { quiet: true });
}

/** Compiles TypeScript projects; none named means all of them. */
export const buildTypes = (projects = [], options = {}) =>
  runTool('typescript', 'bin/tsc', ['-b', ...projects], options);

/** Writes the command manifest of the CLI when it is older than the compiled commands. */
export async function buildManifest() {
  const cli = join(root, 'packages/cli');
  const manifest = join(cli, 'oclif.manifest.json');
  const source = Math.max(newestIn(join(cli, 'dist/commands')), changedAt(join(cli, 'package.json')));
  if (changedAt(manifest) > source) return 0;
  return runTool('oclif', 'bin/run.js', ['manifest'], { cwd: cli, quiet: true });
}

const hasProgram = (name) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => folder && existsSync(join(folder, name)));

/** Which tools a native build lacks here, in words; empty when it can be tried. Windows is left to node-gyp. */
export function missingNativeTools() {
  if (process.platform === 'win32') return [];
  const missing = [];
  if (!process.env.CXX && !['c++', 'g++', 'clang++'].some(hasProgram))
    missing.push('a C++ compiler (c++, g++ or clang++)');
  if (!hasProgram('make')) missing.push('make');
  if (!process.env.PYTHON && !['python3', 'python'].some(hasProgram)) missing.push('python3');
  return missing;
}

/** Prefix whose `include/node` holds the headers of the running Node, or null: node-gyp then looks for itself. */
export function nodeHeaders() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node_api.h')) ? prefix : null;
}

/** Runs a program and returns its standard output, trimmed; null when it fails. */
export function ask(command, args) {
  const answer = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  return answer.status === 0 ? answer.stdout.trim() : null;
}
