import { readFile } from 'node:fs/promises';
import { CortexError } from '../errors/cortex-error.js';

/** The bytes of a file that a setting names. */
export const readNamedFile = async (file: string): Promise<Buffer> => {
  try {
    return await readFile(file);
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw new CortexError('config_invalid', { where: file, reason: `it cannot be read: ${code}` }, { cause });
  }
};
