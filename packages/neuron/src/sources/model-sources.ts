import { type Clock, CortexError, type NeuronConfig } from '@helexa/core';
import type { Logger } from 'pino';
import { Agent } from 'undici';
import { DigestThread } from './digest-thread.js';
import { downloadBlob, type WholeFile } from './download-blob.js';
import { cachedRepositories, HubCache } from './hub-cache.js';
import { KeyLock } from './key-lock.js';
import { openRegistries, type Registry } from './registries.js';
import { RegistryClient } from './registry-client.js';
import type { Repository } from './repository.js';
import type { RepositoryFile } from './repository-file.js';
import { formatSourceId, isSourceId, parseSourceId, type SourceId } from './source-id.js';

export interface ModelSourcesOptions {
  readonly hub: NeuronConfig['hub'];
  readonly clock: Clock;
  readonly log: Logger;
  /** A number in [0, 1); spreads repeated requests. */
  readonly random: () => number;
  /** Longest silence of a registry. */
  readonly idleTimeoutMs?: number;
}

export interface DownloadProgress {
  readonly bytes: number;
  readonly totalBytes: number;
}

/** What a fetch would take. */
export interface DownloadPlan {
  readonly files: number;
  readonly totalBytes: number;
  /** Of these, what is not here yet. */
  readonly missingBytes: number;
  readonly folder: string;
  readonly freeBytes: number;
}

const defaultIdleTimeoutMs = 60_000;
/** Times that a listing is tried when nothing else is known, and when the cache has one. */
const listingAttempts = { alone: 5, cached: 2 };
/** Left free on the disk of the cache. */
const reserveBytes = 256 * 2 ** 20;

/** Small files beside the weights: configuration, tokenizer, templates, how a sentence encoder pools. */
const isCompanionFile = ({ name, bytes }: RepositoryFile): boolean =>
  (/^[^/]+\.(?:json|jinja|txt|model)$/.test(name) ||
    /^additional_chat_templates\/[^/]+\.jinja$/.test(name) ||
    /^\d+_Pooling\/config\.json$/.test(name)) &&
  (bytes ?? 0) <= 256 * 2 ** 20;

/** Where models come from: registries and their caches. Owner: whoever opened it. */
export class ModelSources {
  readonly #options: ModelSourcesOptions;
  readonly #registries: ReadonlyMap<string, Registry>;
  readonly #agent: Agent;
  readonly #blobs = new KeyLock();
  readonly #hasher = new DigestThread();

  private constructor(options: ModelSourcesOptions, registries: ReadonlyMap<string, Registry>) {
    this.#options = options;
    this.#registries = registries;
    this.#agent = new Agent({ connect: { timeout: 10_000 }, pipelining: 1 });
  }

  /** @example const sources = await ModelSources.open({ hub: config.hub, clock, log, random: Math.random }); */
  static async open(options: ModelSourcesOptions): Promise<ModelSources> {
    return new ModelSources(options, await openRegistries(options.hub));
  }

  get #defaultScheme(): string {
    return this.#options.hub.default_source;
  }

  /** The canonical id of a model that may be had from here; null when the id names no repository, or none that can be reached. */
  async find(text: string): Promise<string | null> {
    if (!isSourceId(text, this.#defaultScheme)) return null;
    const source = parseSourceId(text, this.#defaultScheme);
    const id = formatSourceId(source, this.#defaultScheme);
    const { cacheFolder } = this.#registryOf(source, id);
    if (cacheFolder === null) return null;
    if (!this.#options.hub.offline) return id;
    return (await new HubCache(cacheFolder, source.repository).commitOf(source.revision)) === null ? null : id;
  }

  /** The files of a model: from its registry, else, when that fails or is not asked, from the cache. */
  async repository(text: string, signal?: AbortSignal): Promise<Repository> {
    const source = parseSourceId(text, this.#defaultScheme);
    const id = formatSourceId(source, this.#defaultScheme);
    const registry = this.#registryOf(source, id);
    const cache = cacheOf(registry, source);
    const { revision } = source;
    const cached = await cache.guarded(() => cache.commitOf(revision));
    const fromCache = async (commit: string): Promise<Repository> => ({
      id,
      revision,
      commit,
      from: 'cache',
      files: await cache.guarded(() => cache.filesOf(commit)),
      cache,
      client: null,
    });
    if (this.#options.hub.offline) {
      if (cached !== null) return await fromCache(cached);
      throw new CortexError('repo_fetch_failed', {
        model: id,
        cause: `it is not in the cache '${cache.root}', and 'hub.offline' is set`,
      });
    }
    const client = this.#clientOf(registry, id, source);
    try {
      const attempts = cached === null ? listingAttempts.alone : listingAttempts.cached;
      const { commit, files } = await client.listing(revision, attempts, signal);
      return { id, revision, commit, from: 'registry', files, cache, client };
    } catch (error) {
      if (cached === null || signal?.aborted || !CortexError.isInstance(error)) throw error;
      this.#options.log.warn(
        { model: id, reason: error.code, detail: error.message },
        'the registry gives no listing; the cache is used',
      );
      return await fromCache(cached);
    }
  }

  /** What fetching the model with these weight files would take. */
  async planDownload(repository: Repository, weights: readonly string[], signal?: AbortSignal): Promise<DownloadPlan> {
    const { cache, commit } = repository;
    const files = await this.#wholeFiles(repository, weights, signal);
    let missingBytes = 0;
    for (const file of files) if (!(await cache.holds(commit, file))) missingBytes += file.bytes ?? 0;
    return {
      files: files.length,
      totalBytes: files.reduce((sum, file) => sum + (file.bytes ?? 0), 0),
      missingBytes,
      folder: cache.root,
      freeBytes: await cache.guarded(() => cache.freeBytes()),
    };
  }

  /**
   * Downloads the weights of a model and the small files beside them, and gives the folder they lie in. What is there is not
   * downloaded again; the first failure stops all, and what has come stays for the next time.
   */
  async fetch(
    repository: Repository,
    weights: readonly string[],
    options: { readonly onProgress?: (progress: DownloadProgress) => void; readonly signal?: AbortSignal } = {},
  ): Promise<string> {
    const { cache, commit, client, id } = repository;
    const files = await this.#wholeFiles(repository, weights, options.signal);
    const missing: WholeFile[] = [];
    for (const file of files) {
      if (await cache.holds(commit, file)) continue;
      const { name, bytes, hash } = file;
      if (!client)
        throw new CortexError('repo_fetch_failed', { model: id, file: name, cause: 'it is not in the cache' });
      if (bytes === null || hash === null) throw client.failed('the registry does not tell its length and hash', name);
      missing.push({ name, bytes, hash });
    }
    if (client && missing.length > 0) {
      await this.#checkDisk(cache, missing);
      const stop = new AbortController();
      const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
      const totalBytes = files.reduce((sum, file) => sum + (file.bytes ?? 0), 0);
      const here = new Map<string, number>();
      let restBytes = totalBytes - missing.reduce((sum, file) => sum + file.bytes, 0);
      const report = (file: WholeFile, bytes: number) => {
        restBytes += bytes - (here.get(file.name) ?? 0);
        here.set(file.name, bytes);
        options.onProgress?.({ bytes: restBytes, totalBytes });
      };
      // Small files first: a model whose tokenizer cannot be had is not worth its weights.
      const queue = missing.toSorted((a, b) => a.bytes - b.bytes);
      const work = async () => {
        for (let file = queue.shift(); file; file = queue.shift()) {
          const wanted = file;
          signal.throwIfAborted();
          await this.#blobs.run(cache.blobPath(wanted.hash), () =>
            downloadBlob({
              client,
              cache,
              model: id,
              commit,
              file: wanted,
              clock: this.#options.clock,
              hasher: this.#hasher,
              signal,
              onBytes: (bytes) => report(wanted, bytes),
            }),
          );
          await cache.link(commit, wanted.name, wanted.hash);
        }
      };
      const workers = Array.from({ length: Math.min(this.#options.hub.downloads, missing.length) }, () =>
        work().catch((error: unknown) => {
          stop.abort(error);
          throw error;
        }),
      );
      await Promise.allSettled(workers);
      options.signal?.throwIfAborted();
      if (stop.signal.aborted) throw stop.signal.reason;
    }
    if (client && repository.revision !== commit) await cache.writeRef(repository.revision, commit);
    return cache.snapshotPath(commit);
  }

  /** The caches that may be lent to others: repository by repository. */
  cacheOf(repository: string): HubCache | null {
    const registry = this.#registries.get(this.#defaultScheme);
    return registry?.cacheFolder == null ? null : new HubCache(registry.cacheFolder, repository);
  }

  /** Ids of the models that the caches hold. */
  async cachedIds(): Promise<string[]> {
    const ids: string[] = [];
    for (const { scheme, cacheFolder } of this.#registries.values()) {
      if (cacheFolder === null) continue;
      for (const repository of await cachedRepositories(cacheFolder)) {
        const cache = new HubCache(cacheFolder, repository);
        for (const revision of await cache.revisions()) {
          const commit = await cache.commitOf(revision);
          if (commit !== null && (await cache.hasWeights(commit)))
            ids.push(formatSourceId({ scheme, repository, revision }, this.#defaultScheme));
        }
      }
    }
    return ids;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
    await this.#hasher.close();
  }

  async #wholeFiles(
    repository: Repository,
    weights: readonly string[],
    signal?: AbortSignal,
  ): Promise<RepositoryFile[]> {
    const wanted = new Set(weights);
    const files = repository.files.filter((file) => wanted.has(file.name) || isCompanionFile(file));
    const { client, commit } = repository;
    if (!client) return files;
    return await Promise.all(files.map((file) => client.describe(commit, file, signal)));
  }

  async #checkDisk(cache: HubCache, missing: readonly WholeFile[]): Promise<void> {
    const wantBytes = missing.reduce((sum, file) => sum + file.bytes, 0);
    const haveBytes = Math.max(0, (await cache.guarded(() => cache.freeBytes())) - reserveBytes);
    if (wantBytes > haveBytes) throw new CortexError('disk_full', { folder: cache.root, wantBytes, haveBytes });
  }

  #registryOf(source: SourceId, id: string): Registry {
    const registry = this.#registries.get(source.scheme);
    if (registry) return registry;
    throw new CortexError('source_unknown', { model: id, scheme: source.scheme, known: [...this.#registries.keys()] });
  }

  #clientOf(registry: Registry, id: string, source: SourceId): RegistryClient {
    const { clock, random, idleTimeoutMs = defaultIdleTimeoutMs } = this.#options;
    return new RegistryClient(registry, id, source.repository, {
      dispatcher: this.#agent,
      clock,
      random,
      idleTimeoutMs,
    });
  }
}

function cacheOf(registry: Registry, source: SourceId): HubCache {
  if (registry.cacheFolder !== null) return new HubCache(registry.cacheFolder, source.repository);
  throw new CortexError('config_invalid', {
    where: 'hub.cache_dir',
    reason: 'it is not set, and there is no home folder to hold a cache; a folder is wanted',
  });
}
