import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, CortexError } from '@helexa/core';
import { withBlobLock } from './blob-lock.js';
import type { DigestThread } from './digest-thread.js';
import type { FileDigest } from './file-digest.js';
import type { HubCache } from './hub-cache.js';
import { PassingFailure, passing, type RegistryAnswer, type RegistryClient } from './registry-client.js';
import type { FileHash } from './repository-file.js';

/** A file whose length and hash are known: nothing else is downloaded. */
export interface WholeFile {
  readonly name: string;
  readonly bytes: number;
  readonly hash: FileHash;
}

export interface BlobDownload {
  readonly client: RegistryClient;
  readonly cache: HubCache;
  readonly model: string;
  readonly commit: string;
  readonly file: WholeFile;
  readonly clock: Clock;
  readonly hasher: DigestThread;
  /** Bytes that are here now; falls when a file must begin anew. */
  readonly onBytes: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Failures in a row, each without real progress, that end a download. */
const mostFailures = 5;
const progressBytes = 1 << 20;

/**
 * Downloads one blob of the cache: goes on where an earlier download of any process ended, and lets nothing into the cache
 * whose length or hash is not what the listing says.
 */
export async function downloadBlob(download: BlobDownload): Promise<void> {
  const { cache, file, clock, signal, onBytes } = download;
  const blob = cache.blobPath(file.hash);
  await cache.guarded(async () => {
    await mkdir(dirname(blob), { recursive: true });
    if (!(await cache.hasBlob(file.hash, file.bytes))) {
      await withBlobLock(blob, clock, signal, async () => {
        if (!(await cache.hasBlob(file.hash, file.bytes))) await new Transfer(download, blob).run();
      });
    }
  });
  onBytes(file.bytes);
}

class Transfer {
  readonly #download: BlobDownload;
  readonly #blob: string;
  readonly #partial: string;
  #digest: FileDigest;
  /** Bytes of the partial file that are in the digest. */
  #at = 0;
  /** Whether bytes of an earlier download are part of this one. */
  #isResumed = false;

  constructor(download: BlobDownload, blob: string) {
    this.#download = download;
    this.#blob = blob;
    this.#partial = `${blob}.incomplete`;
    this.#digest = this.#newDigest();
  }

  async run(): Promise<void> {
    const { file, model } = this.#download;
    const handle = await open(this.#partial, 'a+');
    try {
      await this.#resume(handle);
      await this.#fill(handle);
      let wrong = await this.#digest.mismatch();
      if (wrong !== null && this.#isResumed) {
        // What an earlier download left may be the wrong part: once more, all of it.
        await this.#restart(handle);
        await this.#fill(handle);
        wrong = await this.#digest.mismatch();
      }
      if (wrong !== null) {
        await rm(this.#partial, { force: true });
        const reason = `its ${file.hash.kind === 'git' ? 'git hash' : 'SHA-256'} is ${wrong}; ${file.hash.hex} is wanted`;
        throw new CortexError('download_corrupt', { model, file: file.name, reason });
      }
      await handle.sync();
    } finally {
      this.#digest.abandon();
      await handle.close();
    }
    await rename(this.#partial, this.#blob);
  }

  #newDigest(): FileDigest {
    const { hasher, file } = this.#download;
    return hasher.digest(file.hash, file.bytes);
  }

  /** Takes what an earlier download left into the digest. */
  async #resume(handle: FileHandle): Promise<void> {
    const { file, onBytes, signal } = this.#download;
    const { size } = await stat(this.#partial);
    if (size > file.bytes) return await this.#restart(handle);
    if (size === 0) return;
    for await (const chunk of createReadStream(this.#partial, { end: size - 1, highWaterMark: 1 << 20 })) {
      signal?.throwIfAborted();
      await this.#digest.update(chunk as Uint8Array);
      this.#at += (chunk as Uint8Array).length;
    }
    this.#isResumed = true;
    onBytes(this.#at);
  }

  async #restart(handle: FileHandle): Promise<void> {
    await handle.truncate(0);
    this.#digest.abandon();
    this.#digest = this.#newDigest();
    this.#at = 0;
    this.#isResumed = false;
    this.#download.onBytes(0);
  }

  /** Transfers until the file has its length, over as many answers as that takes. */
  async #fill(handle: FileHandle): Promise<void> {
    const { client, file, signal } = this.#download;
    let failures = 0;
    while (this.#at < file.bytes) {
      const begin = this.#at;
      try {
        await this.#receive(handle);
      } catch (error) {
        const failure = passing(error, signal);
        if (!(failure instanceof PassingFailure) || isFromDisk(error)) throw error;
        failures = this.#at >= begin + progressBytes ? 1 : failures + 1;
        if (failures >= mostFailures) throw client.failed(failure.message, file.name, failure);
        await client.pause(failures, failure, signal);
      }
    }
  }

  /** One answer of the registry, written as it comes. */
  async #receive(handle: FileHandle): Promise<void> {
    const { client, commit, file, signal, onBytes } = this.#download;
    const answer = await client.open(commit, file.name, this.#at, signal);
    try {
      await this.#accept(answer, handle);
      for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
        signal?.throwIfAborted();
        if (this.#at + chunk.length > file.bytes) throw await this.#wrongLength(`more than ${file.bytes} bytes`);
        for (let written = 0; written < chunk.length; )
          written += (await handle.write(chunk, written, chunk.length - written)).bytesWritten;
        await this.#digest.update(chunk);
        this.#at += chunk.length;
        onBytes(this.#at);
      }
    } finally {
      answer.body.destroy();
    }
    if (this.#at < file.bytes) throw new PassingFailure(`it ended at byte ${this.#at} of ${file.bytes}`);
  }

  /** Holds the answer's head against what was asked; the file begins anew when the registry does. */
  async #accept({ status, headers }: RegistryAnswer, handle: FileHandle): Promise<void> {
    const { file } = this.#download;
    const wanted = status === 206 ? file.bytes - this.#at : file.bytes;
    if (status === 416) {
      await this.#restart(handle);
      throw new PassingFailure('the registry has nothing behind what is here');
    }
    if (status === 206) {
      const range = `bytes ${this.#at}-${file.bytes - 1}/${file.bytes}`;
      if (headers['content-range'] !== range)
        throw await this.#wrongLength(`the range '${headers['content-range']}' instead of '${range}'`);
    } else if (this.#at > 0) await this.#restart(handle);
    const length = headers['content-length'];
    if (length !== undefined && Number(length) !== wanted)
      throw await this.#wrongLength(`${length} bytes of ${wanted}`);
  }

  async #wrongLength(what: string): Promise<CortexError> {
    const { model, file } = this.#download;
    await rm(this.#partial, { force: true });
    return new CortexError('download_corrupt', { model, file: file.name, reason: `the registry sends ${what}` });
  }
}

/** A system call on our own file, unlike one on a socket, does not pass by being tried again. */
const isFromDisk = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EFBIG', 'EBADF'].includes((error as NodeJS.ErrnoException).code ?? '');
