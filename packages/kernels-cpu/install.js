// Runs when npm installs this package: takes the prebuilt addon, else compiles one. A machine that can do neither still gets
// a working cortex (the reference backend), so this never fails an installation; loading the addon says later what is missing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

const hasAddon = () => {
  try {
    require('node-gyp-build').resolve(here);
    return true;
  } catch {
    return false;
  }
};

// In the repository, `npm run build:native` does this after npm is done.
const isRepository = existsSync(join(here, '../../tools/build-native.js'));

if (!isRepository && !hasAddon()) {
  const nodeGyp = process.env.npm_config_node_gyp;
  const build = nodeGyp ? spawnSync(process.execPath, [nodeGyp, 'rebuild'], { cwd: here, stdio: 'inherit' }) : null;
  if (build?.status !== 0)
    process.stderr.write(
      'cortex: no prebuilt kernels for this machine and none could be compiled; answers will be slow\n',
    );
}
