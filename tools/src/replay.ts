/**
 * Compiles the tiny checkpoints of every architecture and compares the programs with `tools/golden/`. A change that is
 * meant to leave programs alone shows no difference. `npm run replay -- --write` renews the files.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { firstDifference } from './replay/first-difference.js';
import { goldenPrograms } from './replay/golden-programs.js';
import { architectures } from './shared/architectures.js';
import { repositoryRoot } from './shared/repository-root.js';
import { runTool } from './shared/run-tool.js';

await runTool(async (args) => {
  const { values } = parseArgs({ args, options: { write: { type: 'boolean', default: false } } });
  const folder = join(repositoryRoot, 'tools', 'golden');
  const programs = await goldenPrograms(repositoryRoot, architectures);
  const names = new Set(programs.map((program) => program.name));
  const extra = existsSync(folder) ? readdirSync(folder).filter((name) => !names.has(name)) : [];
  if (values.write) {
    mkdirSync(folder, { recursive: true });
    for (const { name, text } of programs) writeFileSync(join(folder, name), text);
    for (const name of extra) rmSync(join(folder, name));
    console.log(`${programs.length} programs written`);
    return 0;
  }
  let differences = 0;
  for (const { name, text } of programs) {
    const file = join(folder, name);
    const difference = existsSync(file) ? firstDifference(readFileSync(file, 'utf8'), text) : 'there is no golden file';
    if (difference === null) continue;
    differences++;
    console.error(`${name}: ${difference}`);
  }
  for (const name of extra) console.error(`${name}: no program has this name`);
  if (programs.length === 0) console.error('no architecture package has a fixture');
  const isSame = differences === 0 && extra.length === 0 && programs.length > 0;
  console.log(isSame ? `${programs.length} programs are the same` : 'renew them with: npm run replay -- --write');
  return isSame ? 0 : 1;
});
