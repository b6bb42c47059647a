import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository that this tool was compiled in: `tools/dist/shared/` is three folders below it. */
export const repositoryRoot = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
