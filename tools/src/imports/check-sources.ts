import { dirname, join } from 'node:path/posix';
import { allowedImports, architectureNames, nameExceptions, sharedPackages } from './import-rules.js';
import type { SourceFile } from './source-files.js';

export interface ImportProblem {
  readonly path: string;
  readonly line: number;
  readonly reason: string;
}

interface Import {
  readonly target: string;
  readonly line: number;
}

/** Package folder of each npm name, as `package.json` files give them. */
export type PackageNames = ReadonlyMap<string, string>;

/** Everything in the sources that goes against the rules. */
export function checkSources(files: readonly SourceFile[], names: PackageNames): ImportProblem[] {
  return [...files.flatMap((file) => checkImports(file, names)), ...files.flatMap(checkNames), ...findCycles(files)];
}

function checkImports(file: SourceFile, names: PackageNames): ImportProblem[] {
  const allowed = allowedImports[file.packageName];
  if (allowed === undefined) {
    return [{ path: file.path, line: 1, reason: `package '${file.packageName}' has no row in the import rules` }];
  }
  const problems: ImportProblem[] = [];
  const found = importsOf(file);
  for (const { target, line } of found) {
    const add = (reason: string) => problems.push({ path: file.path, line, reason });
    if (target.startsWith('.')) {
      if (!join(dirname(file.path), target).startsWith(`${file.packageName}/`)) {
        add(`'${target}' leaves the package; import the other package by its name`);
      }
      continue;
    }
    const [scope, name, ...rest] = target.split('/');
    const folder = names.get(`${scope}/${name}`);
    if (folder === undefined) continue;
    if (rest.includes('dist') || rest.includes('src')) add(`'${target}' reaches into another package`);
    if (folder !== file.packageName && !allowed.includes(folder) && !file.isTest) {
      add(`'${file.packageName}' does not import '${folder}'; it may import ${allowed.join(', ') || 'no package'}`);
    }
  }
  return problems;
}

function checkNames({ packageName, path, text, isTest }: SourceFile): ImportProblem[] {
  if (isTest || !sharedPackages.some((shared) => shared === packageName) || Object.hasOwn(nameExceptions, path))
    return [];
  return withoutComments(text)
    .split('\n')
    .flatMap((content, index) => {
      const word = architectureNames.exec(content)?.[0];
      if (word === undefined) return [];
      return [{ path, line: index + 1, reason: `shared code names an architecture: '${word}'` }];
    });
}

/** Comments may give an example; what runs may not. Lines stay where they are. */
const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, '')).replace(/(^|\s)\/\/.*$/gm, '$1');

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

function importsOf({ text, path }: SourceFile): Import[] {
  if (!/\.(?:ts|js)$/.test(path)) return [];
  return [...text.matchAll(importPattern)].map((match) => ({
    target: (match[1] ?? match[2])!,
    line: text.slice(0, match.index + match[0].length).split('\n').length,
  }));
}

/** Import cycles of files within a package; imports of types alone vanish and make none. */
function findCycles(files: readonly SourceFile[]): ImportProblem[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const edges = (file: SourceFile): string[] =>
    importsOf({ ...file, text: withoutTypeImports(file.text) })
      .filter(({ target }) => target.startsWith('.'))
      .map(({ target }) => join(dirname(file.path), target).replace(/\.js$/, '.ts'))
      .filter((path) => byPath.has(path));
  const state = new Map<string, 'open' | 'done'>();
  const problems: ImportProblem[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      const cycle = [...trail.slice(trail.indexOf(path)), path];
      problems.push({ path, line: 1, reason: `it imports itself: ${cycle.join(' -> ')}` });
      return;
    }
    state.set(path, 'open');
    for (const next of edges(byPath.get(path)!)) visit(next, [...trail, path]);
    state.set(path, 'done');
  };
  for (const file of files) visit(file.path, []);
  return problems;
}

const withoutTypeImports = (text: string): string =>
  text
    .replace(/(?:import|export)\s+type\s[^;]*;/g, '')
    .replace(/(import|export)\s*\{(\s*type\s+[\w$]+(?:\s+as\s+[\w$]+)?\s*,?)+\}\s*from\s*['"][^'"]+['"];/g, '');
