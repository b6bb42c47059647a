import { CortexError } from '../errors/cortex-error.js';
import type { TensorEntry } from './checkpoint.js';

/** Headers longer than this are refused: the largest in use are a tenth of it. */
export const longestHeaderBytes = 100_000_000;

const longestQuotedName = 120;

/** A name from a hostile file, short enough for a message. */
export const quoted = (name: string): string =>
  name.length <= longestQuotedName ? `'${name}'` : `'${name.slice(0, longestQuotedName)}...'`;

/** Throws the one error of the header parsers. */
export const refuse = (file: string, reason: string, cause?: unknown): never => {
  throw new CortexError('checkpoint_invalid', { file, reason }, { cause });
};

/** Product of dimensions as an exact number; undefined when it is none or too large to be exact. */
export const elementCount = (shape: readonly number[]): number | undefined => {
  let count = 1;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) return undefined;
    // A zero anywhere makes the product zero, but the other factors must still be sane.
    if (dimension !== 0 && count > Number.MAX_SAFE_INTEGER / dimension) return undefined;
    count *= dimension;
  }
  return count;
};

/** Tensors by the place of their bytes; refuses two that share a byte. */
export const inFileOrder = (tensors: Iterable<TensorEntry>, file: string): TensorEntry[] => {
  const ordered = [...tensors].sort((a, b) => a.begin - b.begin || a.end - b.end);
  for (let index = 1; index < ordered.length; index++) {
    const before = ordered[index - 1]!;
    const entry = ordered[index]!;
    if (entry.begin < before.end) refuse(file, `tensors ${quoted(before.name)} and ${quoted(entry.name)} overlap`);
  }
  return ordered;
};

/** Decodes UTF-8 and refuses bytes that are none. */
export const utf8 = (bytes: Uint8Array, file: string, what: string): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    return refuse(file, `${what} is not UTF-8`, error);
  }
};
