/** What the bytes of a file must hash to. */
export interface FileHash {
  /** `git` is the SHA-1 of a git blob, `sha256` that of the bytes: registries use it for large files. */
  readonly kind: 'sha256' | 'git';
  readonly hex: string;
}

/** One file of a repository as its listing has it. */
export interface RepositoryFile {
  /** Relative path with forward slashes. */
  readonly name: string;
  /** Null when the listing does not say. */
  readonly bytes: number | null;
  readonly hash: FileHash | null;
}

/** All files of one revision. */
export interface RepositoryListing {
  /** Hash that names the revision for ever. */
  readonly commit: string;
  readonly files: readonly RepositoryFile[];
}

/** Whether a name from the network stays inside the folder it is joined to, on any system. */
export const isSafeFileName = (name: string): boolean =>
  name.length > 0 &&
  name.length <= 512 &&
  !/[\p{Cc}\\:]/u.test(name) &&
  name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');

/** A hash by its spelling: 64 hexadecimal digits are SHA-256, 40 are a git blob. */
export function parseHash(text: string): FileHash | null {
  if (/^[0-9a-f]{64}$/.test(text)) return { kind: 'sha256', hex: text };
  return /^[0-9a-f]{40}$/.test(text) ? { kind: 'git', hex: text } : null;
}
