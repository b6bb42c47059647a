// Joins the CLI with everything it imports into few files, `packages/cli/bundle`: reading one is quicker than finding hundreds.
// What is installed beside it stays as it is, for plugins and for whoever imports a package.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { changedAt, root } from './prepare.js';

const cli = join(root, 'packages/cli');
const bundle = join(cli, 'bundle');
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** What starts threads from files of its own is loaded from where it is installed. */
const installed = ['pino'];

/** Libraries that are imported when they are needed, perhaps with native code or not installed at all. */
const importWhenNeeded = /\bimport\('([^.'@][^':]*)'\)/g;

const portable = (path) => path.split(sep).join('/');

/** The folder of the package that a file belongs to. */
function packageOf(file) {
  for (let folder = dirname(file); ; folder = dirname(folder))
    if (changedAt(join(folder, 'package.json')) > 0 && readJson(join(folder, 'package.json')).name) return folder;
}

/** An expression for the path of a file where it is installed. */
const installedPath = (file) => {
  const folder = packageOf(file);
  const { name } = readJson(join(folder, 'package.json'));
  return `__installed(${JSON.stringify(name)}, ${JSON.stringify(portable(relative(folder, file)))})`;
};

const barrels = new Map();

/** Which file each name of a package's index comes from. */
async function sourcesOf(index) {
  const sources = new Map();
  for (const [, names, target] of (await readFile(index, 'utf8')).matchAll(/export (\*|\{[^}]*\}) from '(\.[^']*)'/g)) {
    const file = join(dirname(index), target);
    const exported =
      names === '*' ? Object.keys(await import(pathToFileURL(file).href)) : names.slice(1, -1).split(',');
    for (const name of exported.map((each) => each.trim()).filter(Boolean))
      if (!/ as /.test(name)) sources.set(name, file);
  }
  return sources;
}

/**
 * A module that imports names of a package's index imports the files that hold them: the bundler puts all that an index
 * reaches into whatever reads the index.
 */
async function importFromFiles(text) {
  const parts = await Promise.all(
    text.split(/(?<=^import \{[^}]*\} from '@helexa\/[^']*';)/m).map(async (part) => {
      const found = /^import \{([^}]*)\} from '(@helexa\/[^']*)';$/m.exec(part);
      if (!found) return part;
      const [statement, names, specifier] = found;
      const index = fileURLToPath(import.meta.resolve(specifier));
      if (!barrels.has(index)) barrels.set(index, sourcesOf(index));
      const sources = await barrels.get(index);
      const lines = names
        .split(',')
        .map((each) => each.trim())
        .filter(Boolean)
        .map((name) => {
          const file = sources.get(name.split(' ')[0]);
          return `import { ${name} } from ${file ? JSON.stringify(portable(file)) : `'${specifier}'`};`;
        });
      return part.replace(statement, () => lines.join(' '));
    }),
  );
  return parts.join('');
}

/** Files that look for others find them where they are installed. */
const keepPlaces = {
  name: 'keep-places',
  setup(build) {
    build.onLoad({ filter: /[/\\](packages|examples)[/\\][^/\\]+[/\\]dist[/\\].*\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      const contents = (await importFromFiles(text))
        .replaceAll('import.meta.url', `__url(${installedPath(path)}).href`)
        .replace(importWhenNeeded, (_, name) => `__import(${installedPath(path)}, ${JSON.stringify(name)})`);
      return contents === text ? null : { contents, loader: 'js' };
    });
    build.onLoad({ filter: /[/\\]@oclif[/\\]core[/\\]lib[/\\].*\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!text.includes('__dirname')) return null;
      return {
        contents: `const __dirname = require('node:path').dirname(${installedPath(path)});\n${text}`,
        loader: 'js',
      };
    });
  },
};

/** What a module of the `installed` list is, found from the package that asked for it. */
const keepInstalled = {
  name: 'keep-installed',
  setup(build) {
    const filter = new RegExp(`^(${installed.join('|')})$`);
    build.onResolve({ filter }, ({ path, importer }) => ({ path, namespace: 'installed', pluginData: importer }));
    build.onLoad({ filter: /./, namespace: 'installed' }, ({ path, pluginData }) => ({
      contents: `module.exports = __createRequire(${installedPath(pluginData)})(${JSON.stringify(path)});`,
      loader: 'js',
    }));
  },
};

/** Messages of schemas are read in English: the other languages would be parsed at every start. */
const oneLanguage = {
  name: 'one-language',
  setup(build) {
    build.onLoad({ filter: /[/\\]zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, () => ({
      contents: `export { default as en } from './en.js';`,
      loader: 'js',
    }));
  },
};

const banner = `import { createRequire as __createRequire } from 'node:module';
import { dirname as __folderOf, join as __join } from 'node:path';
import { fileURLToPath as __pathOf, pathToFileURL as __url } from 'node:url';
const require = __createRequire(import.meta.url);
const __filename = __pathOf(import.meta.url);
const __dirname = __folderOf(__filename);
const __installed = (name, file) => __join(__folderOf(require.resolve(name + '/package.json')), file);
const __import = async (owner, name) => {
  try {
    return await import(__url(__createRequire(owner).resolve(name)).href);
  } catch (cause) {
    if (cause.code === 'MODULE_NOT_FOUND') cause.code = 'ERR_MODULE_NOT_FOUND';
    throw cause;
  }
};`;

/** The commands, and the hooks of the architectures that come with the CLI, by the place they get in the bundle. */
function entries() {
  const commands = join(cli, 'dist/commands');
  const found = readdirSync(commands, { recursive: true })
    .filter((file) => file.endsWith('.js') && !file.endsWith('.test.js'))
    .map((file) => [`commands/${portable(file).slice(0, -3)}`, join(commands, file)]);
  const hooks = readJson(join(cli, 'package.json')).oclif.plugins.flatMap((name) => {
    const manifest = join(root, 'node_modules', name, 'package.json');
    const hook = readJson(manifest).oclif.hooks?.['cortex:architectures'];
    return hook ? [[`hooks/${name}`, join(dirname(manifest), hook)]] : [];
  });
  return Object.fromEntries([['cli', join(cli, 'bin/bundled.js')], ...found, ...hooks]);
}

/** What the compiler says of its last build, one file for each package that the bundle holds. */
const buildInfos = () =>
  readdirSync(join(root, 'packages'))
    .map((name) => join(root, 'packages', name, 'dist/.tsbuildinfo'))
    .filter((path) => changedAt(path) > 0);

/** Writes the bundle when something that it holds is newer. */
export async function buildBundle() {
  const sources = [
    ...buildInfos(),
    join(cli, 'bin/bundled.js'),
    fileURLToPath(import.meta.url),
    join(cli, 'oclif.manifest.json'),
    join(cli, 'package.json'),
  ];
  const newest = Math.max(...sources.map(changedAt), changedAt(join(root, 'package-lock.json')));
  if (changedAt(join(bundle, 'cli.js')) > newest) return 0;
  rmSync(bundle, { recursive: true, force: true });
  const { build } = await import('esbuild');
  const { warnings, errors } = await build({
    entryPoints: entries(),
    outdir: bundle,
    chunkNames: 'chunks/[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    legalComments: 'linked',
    banner: { js: banner },
    plugins: [keepPlaces, keepInstalled, oneLanguage],
    logLevel: 'warning',
  });
  return errors.length + warnings.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await buildBundle();
