import { createHash, type Hash } from 'node:crypto';
import type { FileHash } from './repository-file.js';

/** The running hash of a file of known length. */
export class FileDigest {
  readonly #wanted: FileHash;
  readonly #hash: Hash;

  constructor(wanted: FileHash, bytes: number) {
    this.#wanted = wanted;
    this.#hash = createHash(wanted.kind === 'sha256' ? 'sha256' : 'sha1');
    if (wanted.kind === 'git') this.#hash.update(`blob ${bytes}\0`);
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  /** Ends the hash: null when it is the wanted one, else what it is. */
  mismatch(): string | null {
    const hex = this.#hash.digest('hex');
    return hex === this.#wanted.hex ? null : hex;
  }
}
