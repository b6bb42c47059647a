/** Writes every file that is made from code. `npm run generate` */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generatedFiles } from './generated/generated-files.js';
import { repositoryRoot } from './shared/repository-root.js';
import { runTool } from './shared/run-tool.js';

await runTool(async () => {
  for (const { path, content } of await generatedFiles(repositoryRoot)) {
    const file = join(repositoryRoot, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    console.log(path);
  }
  return 0;
});
