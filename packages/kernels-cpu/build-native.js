// Compiles the addon of this package from scratch: `npm run build:native`. Node's headers are taken from beside the running
// Node when they are there; node-gyp downloads them otherwise.
import { spawnSync } from 'node:child_process';
import { nodeGyp, nodeHeaders } from './node-gyp.js';

const headers = nodeHeaders();
const build = spawnSync(
  process.execPath,
  [nodeGyp(), 'rebuild', '-j', '2', ...(headers ? [`--nodedir=${headers}`] : [])],
  { cwd: import.meta.dirname, stdio: 'inherit' },
);
process.exitCode = build.status ?? 1;
