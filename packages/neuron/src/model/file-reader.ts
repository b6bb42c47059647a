import { type FileHandle, open } from 'node:fs/promises';
import { CortexError } from '@helexa/core';

/** Ranges of files, read into the caller's memory. Owner: whoever opened it; `close` ends all its files. */
export interface FileReader {
  /** Fills `target` from absolute byte `position` of `file`, or rejects. */
  read(file: string, target: Uint8Array, position: number): Promise<void>;
  close(): Promise<void>;
}

/** Keeps each file open from its first read to `close`. */
export function openFileReader(): FileReader {
  const handles = new Map<string, Promise<FileHandle>>();
  const handleOf = (file: string): Promise<FileHandle> => {
    const known = handles.get(file);
    if (known) return known;
    const handle = open(file, 'r').catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CortexError('checkpoint_invalid', { file, reason }, { cause: error });
    });
    handles.set(file, handle);
    return handle;
  };
  return {
    async read(file, target, position) {
      const handle = await handleOf(file);
      for (let filled = 0; filled < target.length; ) {
        const { bytesRead } = await handle.read(target, filled, target.length - filled, position + filled);
        if (bytesRead === 0) {
          const reason = `it ends at byte ${position + filled}; its header promised more`;
          throw new CortexError('checkpoint_invalid', { file, reason });
        }
        filled += bytesRead;
      }
    },
    async close() {
      const settled = await Promise.allSettled(handles.values());
      handles.clear();
      await Promise.all(settled.map((each) => (each.status === 'fulfilled' ? each.value.close() : undefined)));
    },
  };
}
