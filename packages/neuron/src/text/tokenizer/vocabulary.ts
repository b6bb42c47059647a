import { CortexError } from '@helexa/core';
import type { MergeTable } from './merge-table.js';

/** Far above any published vocabulary: an id beyond it is a broken or hostile file, not a token. */
const maxTokenId = 4_194_303;

/** Token spellings and their ids. */
export class Vocabulary {
  readonly #ids = new Map<string, number>();
  readonly #tokens: (string | undefined)[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  get size(): number {
    return this.#tokens.length;
  }

  add(token: string, id: unknown): void {
    if (!Number.isSafeInteger(id) || (id as number) < 0 || (id as number) > maxTokenId) {
      throw this.#invalid(
        `token '${token.slice(0, 40)}' has the id '${String(id)}'; ids are integers from 0 to ${maxTokenId}`,
      );
    }
    this.#ids.set(token, id as number);
    while (this.#tokens.length < (id as number)) this.#tokens.push(undefined);
    this.#tokens[id as number] = token;
  }

  idOf(token: string): number | undefined {
    return this.#ids.get(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#tokens[id];
  }

  /** Adds the merge of two tokens, in order of priority; both and their joint token must be in the vocabulary. */
  addMerge(merges: MergeTable, left: string, right: string, rank: number): void {
    const [leftId, rightId, result] = [this.#ids.get(left), this.#ids.get(right), this.#ids.get(left + right)];
    if (leftId !== undefined && rightId !== undefined && result !== undefined) {
      merges.add(leftId, rightId, rank, result);
      return;
    }
    const missing = leftId === undefined ? left : rightId === undefined ? right : left + right;
    throw this.#invalid(`merge ${rank} names the token '${missing.slice(0, 40)}', which the vocabulary lacks`);
  }

  #invalid(reason: string): CortexError {
    return new CortexError('tokenizer_invalid', { file: this.#file, reason });
  }
}
