/** Enforces the arrows between packages, and that shared code names no architecture. `npm run check:imports` */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkSources } from './imports/check-sources.js';
import { allowedImports, nameExceptions } from './imports/import-rules.js';
import { readSources } from './imports/source-files.js';
import { repositoryRoot } from './shared/repository-root.js';
import { runTool } from './shared/run-tool.js';

await runTool(async () => {
  const packages = join(repositoryRoot, 'packages');
  const names = new Map(
    readdirSync(packages).map((folder) => {
      const { name } = JSON.parse(readFileSync(join(packages, folder, 'package.json'), 'utf8')) as { name: string };
      return [name, folder] as const;
    }),
  );
  const files = readSources(repositoryRoot);
  const problems = checkSources(files, names);
  for (const { path, line, reason } of problems) console.error(`packages/${path}:${line} ${reason}`);
  const absent = Object.keys(nameExceptions).filter((path) => !files.some((file) => file.path === path));
  for (const path of absent) console.error(`packages/${path} has an exception but is not there`);
  const isFine = problems.length === 0 && absent.length === 0;
  if (isFine) console.log(`${files.length} files of ${Object.keys(allowedImports).length} packages follow the arrows`);
  return isFine ? 0 : 1;
});
