// Before the CLI is packed: its command manifest, its bundle, and the demonstration model that `cortex up` serves without an argument.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildBundle } from './build-bundle.js';
import { buildManifest, root } from './prepare.js';

const models = join(root, 'packages/cli/models');
rmSync(models, { recursive: true, force: true });
cpSync(join(root, 'examples/models'), models, { recursive: true });
process.exitCode = (await buildManifest()) || (await buildBundle());
