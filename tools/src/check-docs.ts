/**
 * Holds the documents to the tree: links and paths exist, scripts and commands they name exist, the reference says what the
 * code says. `--write` writes the reference first.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandsPage, configPage, errorsPage } from './reference.js';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const read = (file: string): Promise<string> => readFile(join(root, file), 'utf8');

const manifest = JSON.parse(await read('packages/cli/oclif.manifest.json')) as Parameters<typeof commandsPage>[0];
const { scripts } = JSON.parse(await read('package.json')) as { scripts: Readonly<Record<string, string>> };
const pages = [errorsPage(), configPage(), commandsPage(manifest)];

if (process.argv.includes('--write')) {
  await mkdir(join(root, 'docs/reference'), { recursive: true });
  for (const { file, text } of pages) await writeFile(join(root, file), text);
}

const problems: string[] = [];
for (const { file, text } of pages)
  if (!existsSync(join(root, file))) problems.push(`${file}: it is missing`);
  else if ((await read(file)) !== text) problems.push(`${file}: it does not say what the code says`);

const documents = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)));
const topics = new Set(['plugins', 'help', ...Object.keys(manifest.commands).map((id) => id.split(':')[0]!)]);

for (const file of documents) {
  const text = await read(file);
  const refuse = (reason: string) => problems.push(`${file}: ${reason}`);
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^(https?:|mailto:|#)/.test(target!)) continue;
    if (!existsSync(join(root, dirname(file), target!.split('#')[0]!))) refuse(`its link '${target}' leads nowhere`);
  }
  for (const [, path] of text.matchAll(/`((?:packages|tools|docs|examples)\/[\w./@-]+)`/g)) {
    const isOutput = /\/(dist|build|prebuilds)\//.test(path!);
    if (!isOutput && !existsSync(join(root, path!))) refuse(`'${path}' does not exist`);
  }
  for (const [, script] of text.matchAll(/\bnpm run ([\w:-]+)/g))
    if (!(script! in scripts)) refuse(`there is no script '${script}'`);
  for (const [, word] of text.matchAll(/(?:`|^ {4})cortex ([a-z]+)/gm))
    if (!topics.has(word!)) refuse(`there is no command 'cortex ${word}'`);
  for (const [, word] of text.matchAll(/bin\/run\.js ([a-z]+)/g))
    if (!topics.has(word!)) refuse(`there is no command 'cortex ${word}'`);
}

for (const problem of problems) process.stderr.write(`${problem}\n`);
process.stdout.write(`${problems.length} problems in ${documents.length} documents\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
