// Where node-gyp and Node's headers are.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The prefix of the running Node when its headers stand beside it, else null. */
export function nodeHeaders() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node_api.h')) ? prefix : null;
}

/** node-gyp's own program. */
export const nodeGyp = () => createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
