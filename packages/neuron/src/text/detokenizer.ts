import type { Tokenizer } from './tokenizer/tokenizer.js';

const space = 0x20;

/**
 * Turns token ids into text as they come. A character split over tokens is held back until it is whole; the increments
 * joined are exactly what decoding the whole sequence gives.
 */
export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #skipSpecial: boolean;
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  #spacesToDrop: number;

  constructor(tokenizer: Tokenizer, options: { readonly skipSpecial: boolean }) {
    this.#tokenizer = tokenizer;
    this.#skipSpecial = options.skipSpecial;
    this.#spacesToDrop = tokenizer.leadingSpaces;
  }

  /** Text that became certain with this token; often empty in the middle of a character. */
  push(id: number): string {
    if (this.#skipSpecial && this.#tokenizer.specialIds.has(id)) return '';
    let bytes = this.#tokenizer.bytesOf(id);
    if (this.#spacesToDrop > 0 && bytes.length > 0) {
      let start = 0;
      while (start < bytes.length && start < this.#spacesToDrop && bytes[start] === space) start++;
      this.#spacesToDrop = start < bytes.length ? 0 : this.#spacesToDrop - start;
      bytes = bytes.subarray(start);
    }
    return bytes.length === 0 ? '' : this.#utf8.decode(bytes, { stream: true });
  }

  /** What was held back; an incomplete character becomes U+FFFD. Ends the sequence. */
  end(): string {
    return this.#utf8.decode();
  }
}
