import { hash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { CortexError } from '../errors/cortex-error.js';

/** A secret as it stands in a configuration: itself, or the file that holds it. */
export interface SecretSetting {
  readonly token?: string | undefined;
  readonly token_file?: string | undefined;
}

/** The secret of a setting; undefined when it has none. A file that is absent counts as none only where that is said. */
export const readSecret = async (
  { token, token_file: file }: SecretSetting,
  { mayBeAbsent = false }: { readonly mayBeAbsent?: boolean } = {},
): Promise<string | undefined> => {
  if (token !== undefined || file === undefined) return token;
  try {
    const text = (await readFile(file, 'utf8')).trim();
    // A header of control characters would never reach its reader.
    if (/[^\x21-\x7e]/.test(text)) {
      throw new CortexError('config_invalid', { where: file, reason: 'it holds more than one token' });
    }
    if (text !== '') return text;
    if (mayBeAbsent) return undefined;
    throw new CortexError('config_invalid', { where: file, reason: 'it is empty; a token is wanted' });
  } catch (error) {
    if (CortexError.isInstance(error)) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (mayBeAbsent && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    throw new CortexError('config_invalid', { where: file, reason: `it cannot be read: ${code}` }, { cause: error });
  }
};

/** SHA-256 of a text. */
export const sha256 = (text: string): Buffer => hash('sha256', text, 'buffer');

/** Compares two secrets in a time that tells nothing about either. */
export const isSameSecret = (one: string, other: string): boolean => timingSafeEqual(sha256(one), sha256(other));

/** The token of an `authorization` header. */
export const bearerIn = (authorization: string | undefined): string | undefined =>
  /^bearer +(.+)$/i.exec(authorization ?? '')?.[1]?.trim() || undefined;
