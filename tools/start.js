// `npm start`: from a fresh clone to a served model. Arguments go to `cortex up`, as in `npm start -- --port 8000`.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildNative } from './build-native.js';
import { buildManifest, buildTypes, install, nodeProblem, root } from './prepare.js';

const say = (line) => process.stdout.write(`${line}\n`);

function stop(line, code) {
  process.stderr.write(`${line}\n`);
  process.exit(code);
}

const problem = nodeProblem();
if (problem) stop(problem, 69);
if ((await install(say)) !== 0) stop('Cannot install packages: npm ci failed, its words are above', 69);
say('Compiling TypeScript');
if ((await buildTypes(['packages/cli'])) !== 0)
  stop('Cannot build: the TypeScript compiler found errors, listed above', 70);
say('Building the native kernels, about a minute the first time');
const native = await buildNative({ quiet: true });
if (!native.built) {
  say(`Native kernels were not built: ${native.reason}`);
  say('Going on with the reference backend: right answers, but slow');
}
if ((await buildManifest()) !== 0) stop('Cannot write the command manifest: oclif failed, its words are above', 70);

// npm passes SIGTERM to its shell only; when that is gone, nobody is left to end this process.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM');
}, 500).unref();

const cli = join(root, 'packages/cli/bin/run.js');
process.argv = [process.execPath, cli, 'up', '--demo', ...process.argv.slice(2)];
await import(pathToFileURL(cli).href);
