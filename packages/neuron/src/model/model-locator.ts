import { stat } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import { CortexError } from '@helexa/core';

/** Where a model lies, and the id it answers to. */
export interface ModelLocation {
  readonly id: string;
  readonly path: string;
}

/**
 * Refuses an id that could name anything but a model below a models folder: from the network comes a name or `org/name`,
 * never a path.
 */
export function checkModelId(id: string): void {
  const refuse = (reason: string) => {
    throw new CortexError('model_id_invalid', { model: id.slice(0, 200), reason });
  };
  if (id.length > 200) refuse('it is longer than 200 characters');
  if (/[\p{Cc}\\]/u.test(id)) refuse('it has a backslash or a control character');
  if (isAbsolute(id) || /^[A-Za-z]:/.test(id)) refuse('it is an absolute path');
  const parts = id.split('/');
  if (parts.length > 2) refuse('it has more than two parts');
  if (parts.some((part) => part === '')) refuse('a part of it is empty');
  if (parts.some((part) => part.startsWith('.'))) refuse('a part of it begins with a dot');
}

/** Finds a model by id below the models folders: a folder, or a `.gguf` file named with or without its ending. */
export async function locateModel(id: string, folders: readonly string[]): Promise<ModelLocation> {
  checkModelId(id);
  for (const folder of folders) {
    for (const path of [join(folder, id), join(folder, `${id}.gguf`)]) {
      if (await exists(path)) return { id, path };
    }
  }
  throw new CortexError('model_not_found', { model: id });
}

/** The id that a model of the configuration answers to, wherever it lies. */
export const configuredId = (modelId: string): string => (isAbsolute(modelId) ? basename(modelId, '.gguf') : modelId);

/** Finds a model that the configuration names: an id, or an absolute path, whose last part is then its id. */
export async function locateConfigured(modelId: string, folders: readonly string[]): Promise<ModelLocation> {
  if (!isAbsolute(modelId)) return await locateModel(modelId, folders);
  if (!(await exists(modelId))) throw new CortexError('model_not_found', { model: modelId });
  return { id: configuredId(modelId), path: modelId };
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw new CortexError(
      'checkpoint_invalid',
      { file: path, reason: `it cannot be looked up: ${code}` },
      { cause: error },
    );
  }
}
