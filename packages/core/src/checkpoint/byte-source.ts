import { type FileHandle, open } from 'node:fs/promises';
import { CortexError } from '../errors/cortex-error.js';

/** Ranges of one file: all that a header parser may ask for. */
export interface ByteSource {
  /** Path, for messages and for `TensorEntry.file`. */
  readonly file: string;
  readonly size: number;
  /** Bytes that one read should take when the length of a header is not known yet; 1 MiB when absent. */
  readonly chunkBytes?: number;
  /** Bytes of a range, end exclusive; the range must lie inside the file. */
  read(begin: number, end: number): Promise<Uint8Array>;
}

/** Bytes in memory as a source. */
export const bytesSource = (bytes: Uint8Array, file: string): ByteSource => ({
  file,
  size: bytes.byteLength,
  read: async (begin, end) => bytes.subarray(begin, end),
});

const readFully = async (handle: FileHandle, file: string, begin: number, end: number): Promise<Uint8Array> => {
  const bytes = Buffer.allocUnsafeSlow(end - begin);
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, begin + filled);
    if (bytesRead === 0) {
      throw new CortexError('checkpoint_invalid', {
        file,
        reason: `the file ended at byte ${begin + filled}; ${end} were there when it was opened`,
      });
    }
    filled += bytesRead;
  }
  return bytes;
};

/** Why the operating system refused a file, in words. */
export const fileReason = (error: unknown): string => {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'it does not exist';
    case 'EACCES':
      return 'permission is denied';
    case 'EISDIR':
      return 'it is a folder; a file is wanted';
    case 'ENOTDIR':
      return 'a part of the path is not a folder';
    default:
      return error instanceof Error ? error.message : String(error);
  }
};

/** Opens a file, lends its ranges to `use`, and closes it. */
export const withFile = async <Result>(file: string, use: (source: ByteSource) => Promise<Result>): Promise<Result> => {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw new CortexError('checkpoint_missing', { path: file, reason: fileReason(error) }, { cause: error });
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new CortexError('checkpoint_invalid', { file, reason: 'it is not a regular file' });
    return await use({ file, size: stats.size, read: (begin, end) => readFully(handle, file, begin, end) });
  } finally {
    await handle.close();
  }
};
