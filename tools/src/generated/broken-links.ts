import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const skipped = new Set(['node_modules', 'dist', 'build', '.git', 'fixtures', 'prebuilds']);

/** Relative links of the repository's documents that lead to no file. */
export function brokenLinks(root: string): { document: string; target: string }[] {
  const broken: { document: string; target: string }[] = [];
  for (const document of documents(root)) {
    const text = readFileSync(document, 'utf8').replace(/```[\s\S]*?```/g, '');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(?:[a-z]+:|#)/.test(target!)) continue;
      if (!existsSync(join(dirname(document), target!.replace(/#.*$/, '')))) {
        broken.push({ document: relative(root, document), target: target! });
      }
    }
  }
  return broken;
}

function* documents(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory() && !skipped.has(entry.name)) yield* documents(join(folder, entry.name));
    else if (entry.isFile() && entry.name.endsWith('.md')) yield join(folder, entry.name);
  }
}
