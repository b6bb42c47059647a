// Before a package is packed: the licence of the repository goes into its folder, where npm takes it from.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './prepare.js';

copyFileSync(join(root, 'LICENSE'), join(process.cwd(), 'LICENSE'));
