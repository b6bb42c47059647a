// Prints where @helexa/graph lies, from here: binding.gyp compiles what it ships under native/. A folder that links to this
// package's sources (see sanitize.js) finds the same one.
import { createRequire } from 'node:module';
import { dirname, relative } from 'node:path';

const require = createRequire(import.meta.url);
process.stdout.write(relative(process.cwd(), dirname(require.resolve('@helexa/graph/package.json'))));
