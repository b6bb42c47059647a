import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CortexError } from '@helexa/core';

/** A model on this machine's disk. */
export interface FoundModel {
  /** Checkpoint folder, or a .gguf file. */
  readonly path: string;
  /** What a client calls it. */
  readonly id: string;
  /** What `default_models` of a neuron calls it: the id below a models folder, or an absolute path. */
  readonly configured: string;
}

const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where the demonstration model may lie: in the repository, or in the published package. */
export const demonstrationPlaces: readonly string[] = [
  join(packageRoot, '../../examples/models/cortex-tiny'),
  join(packageRoot, 'models/cortex-tiny'),
];

const exists = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

async function at(path: string): Promise<FoundModel> {
  const real = await realpath(path);
  return { path: real, id: basename(real, '.gguf'), configured: real };
}

/** Entries of the folders that look like models, for the suggestion of an error; a folder that cannot be read lists none. */
async function modelsIn(folders: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    folders.map(async (folder) => {
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
      return entries
        .filter((entry) => entry.isDirectory() || entry.isSymbolicLink() || entry.name.endsWith('.gguf'))
        .map((entry) => entry.name);
    }),
  );
  return lists.flat().sort();
}

/**
 * Finds what a person means by MODEL: a path when there is one, else an id below one of the folders, and without a word the
 * demonstration model.
 */
export async function findModel(
  model: string | undefined,
  folders: readonly string[],
  demonstration: readonly string[] = demonstrationPlaces,
): Promise<FoundModel> {
  if (model === undefined) {
    for (const place of demonstration) if (await exists(join(place, 'config.json'))) return at(place);
    throw new CortexError('model_not_found', { model: 'cortex-tiny' });
  }
  if (await exists(model)) return at(model);
  for (const folder of folders) {
    for (const path of [join(folder, model), join(folder, `${model}.gguf`)])
      if (await exists(path)) return { path, id: model, configured: model };
  }
  throw new CortexError('model_not_found', { model, available: await modelsIn(folders) });
}
