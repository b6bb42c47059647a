import { type NeuronConfig, readSecret } from '@helexa/core';

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
        token: (await readSecret(source, { mayBeAbsent: true })) ?? null,
        cacheFolder: source.cache_dir ?? null,
      }),
    ),
  );
  return new Map(registries.map((registry) => [registry.scheme, registry]));
}
