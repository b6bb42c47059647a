import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export interface SourceFile {
  /** Folder name under `packages/`. */
  readonly packageName: string;
  /** From `packages/`, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Tests and what only tests use. */
  readonly isTest: boolean;
}

const sources = /\.(?:ts|js|cc|cu|h|hpp)$/;
const skipped = new Set(['node_modules', 'dist', 'build', 'fixtures', 'prebuilds', 'generated']);

/** Every source file of the packages. */
export function readSources(root: string): SourceFile[] {
  const packages = join(root, 'packages');
  return readdirSync(packages).flatMap((packageName) =>
    ['src', 'native'].flatMap((folder) =>
      [...walk(join(packages, packageName, folder))].map((file) => {
        const path = relative(packages, file).replaceAll('\\', '/');
        const isTest = /\.test\.ts$|\/(?:testing|test|e2e|conformance)\//.test(path);
        return { packageName, path, text: readFileSync(file, 'utf8'), isTest };
      }),
    ),
  );
}

function* walk(folder: string): Generator<string> {
  let entries: ReturnType<typeof list>;
  try {
    entries = list(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !skipped.has(entry.name)) yield* walk(path);
    else if (entry.isFile() && sources.test(entry.name)) yield path;
  }
}

const list = (folder: string) => readdirSync(folder, { withFileTypes: true });
