import { spellBytes } from './byte-alphabet.js';
import type { MergeTable } from './merge-table.js';
import { mergeWord } from './merge-word.js';
import type { Vocabulary } from './vocabulary.js';
import { WordCache } from './word-cache.js';

export interface BpeOptions {
  readonly vocabulary: Vocabulary;
  readonly merges: MergeTable;
  /** Words are merged as bytes, spelled in the byte alphabet. */
  readonly byteLevel: boolean;
  /** A word that is in the vocabulary whole is taken whole. */
  readonly ignoreMerges: boolean;
  /** Characters outside the vocabulary become `<0xNN>` tokens. */
  readonly byteFallback: boolean;
  readonly unknownId: number | null;
  /** Unknown characters in a row become one unknown token. */
  readonly fuseUnknown: boolean;
}

const absent = -1;

/** Byte-pair encoding of one word. */
export class Bpe {
  readonly #options: BpeOptions;
  readonly #cache = new WordCache();
  /** Id of each byte in the byte alphabet, or as a fallback token; -1 when there is none. */
  readonly #byteIds: Int32Array;
  readonly #utf8 = new TextEncoder();

  constructor(options: BpeOptions) {
    this.#options = options;
    this.#byteIds = new Int32Array(256);
    for (let byte = 0; byte < 256; byte++) {
      const spelled = options.byteLevel ? spellBytes(Uint8Array.of(byte)) : fallbackToken(byte);
      this.#byteIds[byte] = options.vocabulary.idOf(spelled) ?? absent;
    }
  }

  /** Appends the tokens of a word to `out`. */
  encode(word: string, out: number[]): void {
    const known = this.#cache.get(word);
    if (known !== undefined) {
      for (const id of known) out.push(id);
      return;
    }
    const start = out.length;
    this.#encodeNew(word, out);
    this.#cache.set(word, out.slice(start));
  }

  #encodeNew(word: string, out: number[]): void {
    const { byteLevel, ignoreMerges, vocabulary, merges } = this.#options;
    const bytes = byteLevel ? this.#utf8.encode(word) : null;
    if (ignoreMerges) {
      const whole = vocabulary.idOf(bytes === null ? word : spellBytes(bytes));
      if (whole !== undefined) {
        out.push(whole);
        return;
      }
    }
    const symbols = bytes === null ? this.#symbolsOfText(word) : this.#symbolsOfBytes(bytes);
    if (symbols.length === 1) out.push(symbols[0]!);
    else if (symbols.length > 1) mergeWord(symbols, merges, out);
  }

  #symbolsOfBytes(bytes: Uint8Array): Int32Array {
    const symbols = new Int32Array(bytes.length);
    let count = 0;
    for (const byte of bytes) {
      const id = this.#byteIds[byte]!;
      if (id !== absent) symbols[count++] = id;
      else if (this.#options.unknownId !== null) symbols[count++] = this.#options.unknownId;
    }
    return count === symbols.length ? symbols : symbols.slice(0, count);
  }

  #symbolsOfText(word: string): Int32Array {
    const { vocabulary, byteFallback, unknownId, fuseUnknown } = this.#options;
    const symbols: number[] = [];
    let afterUnknown = false;
    for (const char of word) {
      const id = vocabulary.idOf(char);
      if (id !== undefined) {
        symbols.push(id);
        afterUnknown = false;
        continue;
      }
      const bytes = byteFallback ? this.#utf8.encode(char) : null;
      if (bytes?.every((byte) => this.#byteIds[byte] !== absent)) {
        for (const byte of bytes) symbols.push(this.#byteIds[byte]!);
        afterUnknown = false;
      } else if (unknownId !== null) {
        if (!(afterUnknown && fuseUnknown)) symbols.push(unknownId);
        afterUnknown = true;
      }
    }
    return Int32Array.from(symbols);
  }
}

/** Spelling of a byte as a SentencePiece fallback token. */
export const fallbackToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

/** Byte of a fallback token, or null when it is not one. */
export function fallbackByte(token: string): number | null {
  const hex = /^<0x([0-9A-F]{2})>$/.exec(token);
  return hex === null ? null : Number.parseInt(hex[1]!, 16);
}
