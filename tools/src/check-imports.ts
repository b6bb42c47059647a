/**
 * Holds the packages to their arrows: which may import which, that every import is declared, and that no relative import
 * leaves its package. Prints one line per violation.
 */
import { readdir, readFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Packages of cortex that each package's own code may import. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  core: [],
  graph: ['core'],
  'arch-llama': ['core', 'graph'],
  'arch-qwen3': ['core', 'graph'],
  'arch-qwen3-next': ['core', 'graph'],
  'kernels-cpu': ['core', 'graph'],
  'kernels-cuda': ['core', 'graph'],
  neuron: ['core', 'graph'],
  gateway: ['core'],
  cli: ['core', 'graph', 'gateway', 'neuron', 'arch-qwen3', 'arch-qwen3-next', 'kernels-cpu', 'kernels-cuda'],
};

const nameOf = (folder: string): string => (folder === 'cli' ? '@helexa/cortex' : `@helexa/${folder}`);
const folderOf = new Map(Object.keys(arrows).map((folder) => [nameOf(folder), folder]));
const builtin = new Set(builtinModules);

/** What a source file imports; comments and strings that only look like imports are not told apart, and need not be. */
function importsOf(source: string): string[] {
  const statement = /(?:^|[\s;}])(?:import|export)\s*(?:type\s+)?(?:[\w*\s{},$]+?\s*from\s*)?['"]([^'"\n]+)['"]/g;
  const call = /\b(?:import|require)\(\s*['"]([^'"\n]+)['"]\s*\)/g;
  return [statement, call].flatMap((pattern) => [...source.matchAll(pattern)].map((match) => match[1]!));
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

async function violationsIn(folder: string, shared: ReadonlySet<string>): Promise<string[]> {
  const base = join(root, 'packages', folder);
  const allowed = new Set(arrows[folder]!.map(nameOf));
  const manifest = JSON.parse(await readFile(join(base, 'package.json'), 'utf8')) as Manifest;
  const declared = new Set(Object.keys(manifest.dependencies ?? {}));
  const found: string[] = [];
  for (const name of declared)
    if (folderOf.has(name) && !allowed.has(name))
      found.push(`packages/${folder}/package.json: may not depend on '${name}'`);

  const files = await readdir(join(base, 'src'), { recursive: true });
  for (const file of files.filter((name) => name.endsWith('.ts'))) {
    const path = join(base, 'src', file);
    const isTest = /\.test\.ts$|(^|[\\/])(testing|conformance|e2e)[\\/]/.test(file);
    const refuse = (reason: string) => found.push(`${relative(root, path)}: ${reason}`);
    for (const specifier of importsOf(await readFile(path, 'utf8'))) {
      if (specifier.startsWith('node:')) continue;
      if (specifier.startsWith('.')) {
        if (!resolve(dirname(path), specifier).startsWith(join(base, 'src') + sep))
          refuse(`'${specifier}' leaves the package`);
        if (!/\.(js|json)$/.test(specifier)) refuse(`'${specifier}' has no '.js' ending`);
        continue;
      }
      const name = packageOf(specifier);
      if (builtin.has(name)) refuse(`'${specifier}' is wanted as 'node:${specifier}'`);
      else if (folderOf.has(name)) {
        if (name !== nameOf(folder) && !allowed.has(name)) refuse(`may not import '${specifier}'`);
      } else if (!declared.has(name) && !(isTest && shared.has(name)))
        refuse(`'${name}' is not among its dependencies`);
    }
  }
  return found;
}

const workspace = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest;
const shared = new Set(Object.keys(workspace.devDependencies ?? {}));
const violations = (await Promise.all(Object.keys(arrows).map((folder) => violationsIn(folder, shared)))).flat();
for (const violation of violations) process.stderr.write(`${violation}\n`);
process.stdout.write(`${violations.length} violations of the import arrows in ${folderOf.size} packages\n`);
process.exitCode = violations.length === 0 ? 0 : 1;
