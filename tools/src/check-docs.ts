/** Fails when a file that is made from code is not what the code makes, or a document links to nothing. `npm run check:docs` */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokenLinks } from './generated/broken-links.js';
import { generatedFiles } from './generated/generated-files.js';
import { repositoryRoot } from './shared/repository-root.js';
import { runTool } from './shared/run-tool.js';

await runTool(async () => {
  const files = await generatedFiles(repositoryRoot);
  const stale = files.filter(({ path, content }) => {
    const file = join(repositoryRoot, path);
    return !existsSync(file) || readFileSync(file, 'utf8') !== content;
  });
  for (const { path } of stale) console.error(`${path} is not what the code makes; run: npm run generate`);
  const links = brokenLinks(repositoryRoot);
  for (const { document, target } of links) console.error(`${document} links to '${target}', which is not there`);
  if (stale.length === 0 && links.length === 0) console.log(`${files.length} generated files are up to date`);
  return stale.length === 0 && links.length === 0 ? 0 : 1;
});
