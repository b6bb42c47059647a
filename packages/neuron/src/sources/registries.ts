import { readFile } from 'node:fs/promises';
import { CortexError, type NeuronConfig } from '@helexa/core';

/** One registry of models and the cache of what came from it. */
export interface Registry {
  readonly scheme: string;
  readonly endpoint: string;
  readonly token: string | null;
  /** Root of the cache; null when none is known. */
  readonly cacheFolder: string | null;
}

type HubConfig = NeuronConfig['hub'];

/** The registries of a configuration by scheme. */
export async function openRegistries(hub: HubConfig): Promise<ReadonlyMap<string, Registry>> {
  const { endpoint, cache_dir, token, token_file, sources } = hub;
  const all = [{ scheme: 'huggingface', endpoint, cache_dir, token, token_file }, ...sources];
  const registries = await Promise.all(
    all.map(
      async (source): Promise<Registry> => ({
        scheme: source.scheme,
        endpoint: source.endpoint,
        token: source.token ?? (source.token_file === undefined ? null : await readToken(source.token_file)),
        cacheFolder: source.cache_dir ?? null,
      }),
    ),
  );
  return new Map(registries.map((registry) => [registry.scheme, registry]));
}

async function readToken(file: string): Promise<string | null> {
  try {
    const text = (await readFile(file, 'utf8')).trim();
    // A header of control characters would never reach the registry.
    if (/[^\x21-\x7e]/.test(text))
      throw new CortexError('config_invalid', { where: file, reason: 'it holds more than one token' });
    return text === '' ? null : text;
  } catch (error) {
    if (CortexError.isInstance(error)) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new CortexError('config_invalid', { where: file, reason: `it cannot be read: ${code}` }, { cause: error });
  }
}
