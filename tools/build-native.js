// Builds the native addons with node-gyp: `node tools/build-native.js [--prebuild]`.
// Without a compiler it says what is missing and succeeds: cortex then computes on the reference backend.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { changedAt, missingNativeTools, newestIn, nodeHeaders, root, run, runTool } from './prepare.js';

// CUDA devices are served on Linux alone.
const packages = ['kernels-cpu', ...(process.platform === 'linux' ? ['kernels-cuda'] : [])];

/**
 * Builds what changed. `built` says whether every addon now stands; `reason` why not. `prebuild` also writes
 * `prebuilds/`, which a published package carries; `emulated` the library that the tests of the CUDA backend run on.
 */
export async function buildNative({ quiet = false, prebuild = false, emulated = false } = {}) {
  const missing = missingNativeTools();
  if (missing.length > 0) return { built: false, code: 0, reason: `missing: ${missing.join(', ')}` };
  const headers = nodeHeaders();
  for (const name of packages) {
    const cwd = join(root, 'packages', name);
    if (!existsSync(join(cwd, 'binding.gyp'))) return { built: false, code: 1, reason: `'${name}' has no binding.gyp` };
    const sources = Math.max(
      newestIn(join(root, 'packages/graph/native')),
      newestIn(join(cwd, 'native')),
      changedAt(join(cwd, 'binding.gyp')),
    );
    if (prebuild && newestIn(join(cwd, 'prebuilds')) > sources) continue;
    // prebuildify passes no flags on to node-gyp: jobs and headers reach it through the environment.
    const env = { ...process.env, JOBS: '2', ...(headers ? { npm_config_nodedir: headers } : {}) };
    const code = prebuild
      ? await runTool('prebuildify', 'bin.js', ['--napi', '--strip', '--tag-libc'], { cwd, env, quiet })
      : await runTool(
          'node-gyp',
          'bin/node-gyp.js',
          ['configure', 'build', '--silent', '-j', '2', ...(headers ? ['--nodedir', headers] : [])],
          { cwd, env, quiet },
        );
    if (code !== 0) return { built: false, code, reason: `the build of '${name}' failed` };
  }
  if (emulated && packages.includes('kernels-cuda')) {
    const code = await run(process.execPath, [join(root, 'packages/kernels-cuda/build-library.js'), 'emulated'], {
      quiet,
    });
    if (code !== 0) return { built: false, code, reason: 'the build of the emulated CUDA library failed' };
  }
  return { built: true, code: 0, reason: '' };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const prebuild = process.argv.includes('--prebuild');
  const result = await buildNative({ prebuild, emulated: !prebuild });
  if (!result.built) {
    process.stderr.write(`Native kernels were not built: ${result.reason}\n`);
    if (result.code === 0) process.stderr.write('cortex runs without them, slowly, on the reference backend\n');
  }
  process.exitCode = result.code;
}
