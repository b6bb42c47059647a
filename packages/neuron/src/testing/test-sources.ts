import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, type NeuronConfig, neuronConfigSchema } from '@helexa/core';
import { pino } from 'pino';
import { ModelSources } from '../sources/model-sources.js';

export interface TestSources {
  readonly sources: ModelSources;
  readonly cacheFolder: string;
  close(): Promise<void>;
}

/** A clock whose waits end at once: what is retried is retried without time passing. */
export const hastyClock: Clock = {
  now: () => performance.now(),
  unixMs: () => Date.now(),
  after: (_delayMs, run) => {
    const immediate = setImmediate(run);
    return () => clearImmediate(immediate);
  },
};

/** Model sources of one registry with a cache of their own, in a temporary folder unless one is given. */
export async function openTestSources(
  endpoint: string,
  options: {
    readonly hub?: Partial<NeuronConfig['hub']>;
    readonly cacheFolder?: string;
    readonly idleTimeoutMs?: number;
  } = {},
): Promise<TestSources> {
  const own = options.cacheFolder === undefined ? await mkdtemp(join(tmpdir(), 'cortex-hub-')) : null;
  const cacheFolder = options.cacheFolder ?? own!;
  const { hub } = neuronConfigSchema.parse({ hub: { endpoint, cache_dir: cacheFolder, ...options.hub } });
  const sources = await ModelSources.open({
    hub,
    clock: hastyClock,
    log: pino({ level: 'silent' }),
    random: () => 0.5,
    ...(options.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: options.idleTimeoutMs }),
  });
  return {
    sources,
    cacheFolder,
    close: async () => {
      await sources.close();
      if (own !== null) await rm(own, { recursive: true, force: true });
    },
  };
}
