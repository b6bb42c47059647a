import { CortexError } from '@helexa/core';
import { type AddedToken, AddedTokenMatcher } from './added-tokens.js';
import type { Bpe } from './bpe.js';
import type { Normaliser } from './normaliser.js';
import type { Splitter } from './pre-tokeniser.js';
import type { TokenDecoder } from './token-decoder.js';
import type { Tokenizer } from './tokenizer.js';
import type { Vocabulary } from './vocabulary.js';

export interface PipelineParts {
  readonly vocabulary: Vocabulary;
  readonly added: readonly AddedToken[];
  readonly normalise: Normaliser | null;
  readonly splitters: readonly Splitter[];
  readonly model: Bpe;
  readonly decoder: TokenDecoder;
  /** Ids put before and after a sequence that is encoded with `special`. */
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
  readonly bosId: number | null;
  readonly eosId: number | null;
}

/** Beyond every context length; a longer run of one kind of character would exhaust the pattern matcher's stack. */
const maxCharacters = 4_000_000;

const noBytes = new Uint8Array(0);
const loneSurrogate = /\p{Cs}/gu;

/** The tokenizer: added tokens cut out, the rest normalised, split into words, and each word merged. */
export class PipelineTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly specialIds: ReadonlySet<number>;
  readonly addedIds: ReadonlySet<number>;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly leadingSpaces: number;
  readonly #parts: PipelineParts;
  readonly #addedById: ReadonlyMap<number, AddedToken>;
  readonly #addedByContent: ReadonlyMap<string, number>;
  readonly #rawMatcher: AddedTokenMatcher;
  readonly #normalisedMatcher: AddedTokenMatcher;
  readonly #bytes: (Uint8Array | undefined)[] = [];
  readonly #utf8 = new TextEncoder();

  constructor(parts: PipelineParts) {
    this.#parts = parts;
    const { added, normalise, vocabulary } = parts;
    this.#addedById = new Map(added.map((token) => [token.id, token]));
    this.#addedByContent = new Map(added.map((token) => [token.content, token.id]));
    this.#rawMatcher = new AddedTokenMatcher(added.filter((token) => !token.normalized));
    this.#normalisedMatcher = new AddedTokenMatcher(
      added
        .filter((token) => token.normalized)
        .map((token) => ({ ...token, content: normalise === null ? token.content : normalise(token.content) })),
    );
    this.vocabSize = added.reduce((size, token) => Math.max(size, token.id + 1), vocabulary.size);
    this.specialIds = new Set(added.filter((token) => token.special).map((token) => token.id));
    this.addedIds = new Set(this.#addedById.keys());
    this.bosId = parts.bosId;
    this.eosId = parts.eosId;
    this.leadingSpaces = parts.decoder.leadingSpaces;
  }

  encode(text: string, options: { readonly special: boolean }): number[] {
    if (text.length > maxCharacters) {
      throw new CortexError('text_too_long', { characters: text.length, max: maxCharacters });
    }
    const ids: number[] = options.special ? [...this.#parts.prefix] : [];
    // Half of a surrogate pair is no character: it becomes U+FFFD, as in every UTF-8 encoder.
    let first = true;
    for (const fragment of this.#rawMatcher.split(text.replace(loneSurrogate, '\uFFFD'))) {
      if (typeof fragment === 'number') ids.push(fragment);
      else this.#encodeStretch(fragment, first, ids);
      first = false;
    }
    if (options.special) for (const id of this.#parts.suffix) ids.push(id);
    return ids;
  }

  decode(ids: readonly number[], options: { readonly skipSpecial?: boolean } = {}): string {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for (const id of ids) {
      if (options.skipSpecial === true && this.specialIds.has(id)) continue;
      const bytes = this.bytesOf(id);
      chunks.push(bytes);
      length += bytes.length;
    }
    const joined = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    let start = 0;
    while (start < this.leadingSpaces && joined[start] === 0x20) start++;
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(joined.subarray(start));
  }

  bytesOf(id: number): Uint8Array {
    const known = this.#bytes[id];
    if (known !== undefined) return known;
    const token = this.tokenOf(id);
    if (token === undefined) return noBytes;
    const bytes = this.#addedById.has(id) ? this.#utf8.encode(token) : this.#parts.decoder.bytesOf(token);
    this.#bytes[id] = bytes;
    return bytes;
  }

  idOf(token: string): number | undefined {
    return this.#addedByContent.get(token) ?? this.#parts.vocabulary.idOf(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#addedById.get(id)?.content ?? this.#parts.vocabulary.tokenOf(id);
  }

  #encodeStretch(stretch: string, first: boolean, ids: number[]): void {
    const text = this.#parts.normalise === null ? stretch : this.#parts.normalise(stretch);
    let isFirst = first;
    for (const fragment of this.#normalisedMatcher.split(text)) {
      if (typeof fragment === 'number') ids.push(fragment);
      else this.#encodeWords(fragment, isFirst, ids);
      isFirst = false;
    }
  }

  #encodeWords(text: string, first: boolean, ids: number[]): void {
    let words: readonly string[] = [text];
    for (const splitter of this.#parts.splitters) {
      words =
        words.length === 1
          ? splitter(words[0]!, first)
          : words.flatMap((word, index) => splitter(word, first && index === 0));
    }
    for (const word of words) this.#parts.model.encode(word, ids);
  }
}
