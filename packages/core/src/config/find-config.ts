import { stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { CortexError } from '../errors/cortex-error.js';

/** A parsed configuration file; `text` is kept to name lines. */
export interface ConfigDocument {
  readonly file: string;
  readonly text: string;
  readonly document: Readonly<Record<string, unknown>>;
}

const parseToml = (file: string, text: string): ConfigDocument => {
  try {
    return { file, text, document: parse(text) };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '') ?? 'it is not TOML';
    throw new CortexError(
      'config_invalid',
      { where: file, line: error.line, column: error.column, reason },
      { cause: error },
    );
  }
};

const missing = (file: string, error: unknown): CortexError => {
  const code = (error as NodeJS.ErrnoException).code;
  const reason = code === 'ENOENT' ? 'it does not exist' : `it cannot be read (${code ?? String(error)})`;
  return new CortexError('config_missing', { file, reason }, { cause: error });
};

/** Places where a daemon looks for its file, first one first. */
export const configPlaces = (name: string, folder: string, home: string | undefined): string[] => [
  join(folder, `${name}.toml`),
  ...(home ? [join(home, '.config', 'cortex', `${name}.toml`)] : []),
  join('/etc', 'cortex', `${name}.toml`),
];

const exists = async (file: string): Promise<boolean> => {
  try {
    await stat(file);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw missing(file, error);
  }
};

/** Reads one TOML file. */
export const readConfig = async (path: string, name: string): Promise<ConfigDocument> => {
  const file = resolve(path);
  if (extname(file) !== '.toml') {
    throw new CortexError('config_invalid', {
      where: file,
      reason: 'its name does not end in .toml; a TOML file is wanted',
    });
  }
  // The package's main entry also obeys a '.config/config.js' of the current folder, which is code: the class behind it does
  // not. Most processes find no file, and never load what reads one.
  const { Explorer } = await import('cosmiconfig/dist/Explorer.js');
  const explorer = new Explorer({
    moduleName: name,
    searchPlaces: [`${name}.toml`],
    // The document is wrapped, so that no key of it means anything to the loader.
    loaders: { '.toml': parseToml },
    transform: (result) => result,
    ignoreEmptySearchPlaces: false,
    cache: false,
    mergeImportArrays: false,
    mergeSearchPlaces: false,
    searchStrategy: 'none',
    metaConfigFilePath: null,
  });
  try {
    const result = await explorer.load(file);
    return result?.isEmpty ? { file, text: '', document: {} } : (result?.config as ConfigDocument);
  } catch (error) {
    throw CortexError.isInstance(error) ? error : missing(file, error);
  }
};

/** Reads the first of the places that exists. */
export const findConfig = async (places: readonly string[], name: string): Promise<ConfigDocument | undefined> => {
  for (const place of places) {
    if (await exists(place)) return readConfig(place, name);
  }
  return undefined;
};
