// `npm test`: everything that can be checked on this machine, from a clean clone. Ends with "N passed, N failed".
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildBundle } from './build-bundle.js';
import { buildNative } from './build-native.js';
import { buildManifest, buildTypes, install, nodeProblem, root, run, runTool } from './prepare.js';
import { runTap } from './tap.js';

const say = (line) => process.stdout.write(`${line}\n`);
const results = [];
const startedAt = Date.now();

/** Runs one part and remembers how it went. `work` answers how many checks passed and failed, and a note. */
async function part(name, work) {
  const begun = Date.now();
  say(`\n--- ${name}`);
  const { passed, failed, note = '' } = await work();
  const seconds = ((Date.now() - begun) / 1000).toFixed(1);
  results.push({ name, passed, failed, note, seconds });
  return failed === 0;
}

const one = (ok, note = '') => ({ passed: ok ? 1 : 0, failed: ok ? 0 : 1, note });
const check = async (code, note = '') => one((await code) === 0, note);

/** Runs a compiled check of tools/dist; one that was not built has failed. */
const tool = async (file, args = []) => {
  const path = join(root, 'tools/dist', file);
  return existsSync(path)
    ? check(run(process.execPath, [path, ...args]))
    : one(false, `tools/dist/${file} was not built`);
};

function finish() {
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  say('');
  for (const { name, passed: good, failed: bad, note, seconds } of results) {
    const verdict = bad === 0 ? 'ok  ' : 'FAIL';
    say(
      `${verdict} ${name.padEnd(28)} ${String(good).padStart(5)} passed ${String(bad).padStart(3)} failed ${seconds.padStart(7)} s  ${note}`,
    );
  }
  say(`\nin ${((Date.now() - startedAt) / 1000).toFixed(0)} s`);
  say(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

const problem = nodeProblem();
if (problem) {
  process.stderr.write(`${problem}\n`);
  process.exit(69);
}
if (!(await part('install', () => check(install(say))))) finish();
await part('types', () => check(buildTypes()));
await part('native kernels', async () => {
  // A clean machine compiles once, for the tests and for the packages; elsewhere only what changed is compiled.
  const native = await buildNative({ quiet: true, prebuild: process.env.CI !== undefined, emulated: true });
  return one(native.built, native.reason);
});
await part('command manifest', () => check(buildManifest()));
await part('bundle of the CLI', () => check(buildBundle()));
await part('lint', () => check(runTool('@biomejs/biome', 'bin/biome', ['check', '--error-on-warnings'])));
await part('import arrows', () => tool('check-imports.js'));
await part('documents', () => tool('check-docs.js'));
await part('registers of CUDA kernels', () => tool('cuda-registers.js', ['--check']));
await part('unit and end-to-end tests', () =>
  runTap([join(root, 'node_modules/ava/entrypoints/cli.mjs'), '--tap', '--concurrency', '2']),
);
await part('packages', async () => {
  const script = join(root, 'tools/dist/packaging.js');
  return existsSync(script) ? runTap([script]) : one(false, 'tools/dist/packaging.js was not built');
});
finish();
