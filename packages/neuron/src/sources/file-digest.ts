import { createHash, type Hash } from 'node:crypto';
import type { FileHash } from './repository-file.js';

/** The running hash of a file of known length. */
export interface FileDigest {
  /** Takes bytes in, in order; settles when more may come. The bytes may be reused at once. */
  update(chunk: Uint8Array): Promise<void>;
  /** Ends the hash: null when it is the wanted one, else what it is. */
  mismatch(): Promise<string | null>;
  /** Lets go of it before its end. */
  abandon(): void;
}

/** The hash that a file's hash is made by, with what git puts before the bytes. */
export function startHash(wanted: FileHash, bytes: number): Hash {
  const hash = createHash(wanted.kind === 'sha256' ? 'sha256' : 'sha1');
  return wanted.kind === 'git' ? hash.update(`blob ${bytes}\0`) : hash;
}
