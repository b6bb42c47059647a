import { join } from 'node:path';
import { type CheckpointFolder, CortexError, withFile } from '@helexa/core';
import type { HubCache } from './hub-cache.js';
import type { RegistryClient } from './registry-client.js';
import type { RepositoryFile } from './repository-file.js';

/** One revision of a repository: its names, and where its bytes can be read. */
export interface Repository {
  /** Canonical id of the model. */
  readonly id: string;
  /** As it was asked for: a branch, a tag or a commit. */
  readonly revision: string;
  readonly commit: string;
  /** `cache` when the registry was not asked or did not answer. */
  readonly from: 'registry' | 'cache';
  readonly files: readonly RepositoryFile[];
  readonly cache: HubCache;
  /** Null when only the cache may be read. */
  readonly client: RegistryClient | null;
}

/** Bytes that one ranged read takes when the length of a header is not known: what may be read beyond it. */
const remoteChunkBytes = 256 * 1024;

/** A repository as the folder that it is, or will be, in the cache: what is not here is read in ranges from the registry. */
export function repositoryFolder(repository: Repository, signal?: AbortSignal): CheckpointFolder {
  const { cache, client, commit, files, id } = repository;
  const path = cache.snapshotPath(commit);
  return {
    path,
    names: files.map(({ name }) => name).filter((name) => !name.includes('/')),
    async withFile(name, use) {
      const listed = files.find((file) => file.name === name);
      if (listed && (await cache.holds(commit, listed))) return await withFile(join(path, name), use);
      if (!listed)
        throw new CortexError('repo_unsupported', {
          model: id,
          reason: `its repository has no '${name}', which is wanted`,
        });
      if (!client)
        throw new CortexError('repo_fetch_failed', { model: id, file: name, cause: 'it is not in the cache' });
      const { bytes } = await client.describe(commit, listed, signal);
      if (bytes === null) throw client.failed('the registry does not tell its length', name);
      return await use({
        file: join(path, name),
        size: bytes,
        chunkBytes: remoteChunkBytes,
        read: (begin, end) => client.range(commit, name, begin, end, signal),
      });
    },
  };
}
