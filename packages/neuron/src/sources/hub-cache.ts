import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, readdir, readFile, realpath, rename, stat, statfs, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { CortexError } from '@helexa/core';
import { type FileHash, isSafeFileName, parseHash, type RepositoryFile } from './repository-file.js';

const commitPattern = /^[0-9a-f]{40,64}$/;

/**
 * The cache of one repository in the layout that the Hugging Face tools share: `blobs/<hash>`, `refs/<revision>` with the
 * commit, and `snapshots/<commit>/<file>` as relative links to blobs.
 */
export class HubCache {
  readonly root: string;
  readonly folder: string;

  constructor(root: string, repository: string) {
    this.root = root;
    this.folder = join(root, `models--${repository.replace('/', '--')}`);
  }

  snapshotPath(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }

  blobPath(hash: FileHash): string {
    return join(this.folder, 'blobs', hash.hex);
  }

  /** The commit that a revision named when it was last fetched, if its snapshot is here. */
  async commitOf(revision: string): Promise<string | null> {
    if (!isSafeFileName(revision)) return null;
    const text = commitPattern.test(revision) ? revision : await textOf(join(this.folder, 'refs', revision));
    const commit = text?.trim();
    if (commit === undefined || !commitPattern.test(commit)) return null;
    return (await isThere(this.snapshotPath(commit))) ? commit : null;
  }

  /** Branches and tags that were fetched. */
  async revisions(): Promise<string[]> {
    return (await namesOf(join(this.folder, 'refs'))).toSorted();
  }

  /** Files of a snapshot, links followed; dangling ones are not there. */
  async filesOf(commit: string): Promise<RepositoryFile[]> {
    const files: RepositoryFile[] = [];
    const walk = async (folder: string, prefix: string): Promise<void> => {
      for (const name of (await namesOf(folder)).toSorted()) {
        const path = join(folder, name);
        const stats = await stat(path).catch(() => null);
        if (stats?.isDirectory()) await walk(path, `${prefix}${name}/`);
        else if (stats?.isFile() && isSafeFileName(`${prefix}${name}`))
          files.push({ name: `${prefix}${name}`, bytes: stats.size, hash: await this.#hashOf(path) });
      }
    };
    await walk(this.snapshotPath(commit), '');
    return files;
  }

  /** Whether a snapshot has weights at all: other tools keep tokenizers and other things in the same cache. */
  async hasWeights(commit: string): Promise<boolean> {
    return (await namesOf(this.snapshotPath(commit))).some((name) => /\.(?:safetensors|gguf)$/i.test(name));
  }

  /** Whether the snapshot has this file, whole. */
  async holds(commit: string, file: RepositoryFile): Promise<boolean> {
    const stats = await stat(join(this.snapshotPath(commit), file.name)).catch(() => null);
    return stats?.isFile() === true && (file.bytes === null || stats.size === file.bytes);
  }

  /** Whether a finished blob of this length is here. */
  async hasBlob(hash: FileHash, bytes: number): Promise<boolean> {
    const stats = await stat(this.blobPath(hash)).catch(() => null);
    return stats?.isFile() === true && stats.size === bytes;
  }

  /** Puts a finished blob into a snapshot. */
  async link(commit: string, name: string, hash: FileHash): Promise<void> {
    const path = join(this.snapshotPath(commit), name);
    await this.guarded(async () => {
      await mkdir(dirname(path), { recursive: true });
      const target = relative(dirname(path), this.blobPath(hash));
      const temporary = `${path}.${randomUUID()}.link`;
      await symlink(target, temporary);
      await rename(temporary, path);
    });
  }

  /** Notes which commit a revision names; after its files are there, so that a reader never finds half a model. */
  async writeRef(revision: string, commit: string): Promise<void> {
    const path = join(this.folder, 'refs', revision);
    await this.guarded(async () => {
      await mkdir(dirname(path), { recursive: true });
      const temporary = `${path}.${randomUUID()}`;
      await writeFile(temporary, commit);
      await rename(temporary, path);
    });
  }

  /** Free bytes of the disk that the cache lies on, or will. */
  async freeBytes(): Promise<number> {
    for (let folder = this.folder; ; folder = dirname(folder)) {
      if (!(await isThere(folder)) && dirname(folder) !== folder) continue;
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    }
  }

  /** Does something to the cache; what the system refuses becomes one typed error. */
  async guarded<Result>(action: () => Promise<Result>): Promise<Result> {
    try {
      return await action();
    } catch (error) {
      if (CortexError.isInstance(error)) throw error;
      const { code, message, syscall } = error as NodeJS.ErrnoException;
      if (syscall === undefined) throw error;
      if (code === 'ENOSPC' || code === 'EDQUOT') {
        const haveBytes = await this.freeBytes();
        throw new CortexError(
          'disk_full',
          { folder: this.root, wantBytes: haveBytes + 1, haveBytes },
          { cause: error },
        );
      }
      throw new CortexError('cache_unusable', { folder: this.root, reason: message }, { cause: error });
    }
  }

  /** The hash in the name of the blob that a snapshot's link leads to; null for anything that lies elsewhere. */
  async #hashOf(path: string): Promise<FileHash | null> {
    const blobs = join(await realpath(this.folder), 'blobs') + sep;
    const real = await realpath(path);
    return real.startsWith(blobs) ? parseHash(real.slice(blobs.length)) : null;
  }
}

/** Repositories that a cache root holds, as `org/name`. */
export async function cachedRepositories(root: string): Promise<string[]> {
  return (await namesOf(root)).flatMap((name) => {
    const parts = name.split('--');
    return parts.length === 3 && parts[0] === 'models' ? [`${parts[1]}/${parts[2]}`] : [];
  });
}

async function namesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new CortexError('cache_unusable', { folder, reason: (error as Error).message }, { cause: error });
  }
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return undefined;
    throw new CortexError('cache_unusable', { folder: file, reason: (error as Error).message }, { cause: error });
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
