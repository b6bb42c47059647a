import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Names what a source file and all it includes say, whatever they are called: a file with the same digest compiles alike. */
export function sourceDigest(source: string, includeFolders: readonly string[]): string {
  const hash = createHash('sha256');
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = readFileSync(path, 'utf8');
    hash.update(text);
    for (const [, name] of text.matchAll(/^#include\s+["<]([^">]+)[">]/gm)) {
      const found = [dirname(path), ...includeFolders]
        .map((folder) => join(folder, name!))
        .find((file) => existsSync(file));
      if (found !== undefined) visit(found);
    }
  };
  visit(source);
  return hash.digest('hex').slice(0, 12);
}
