import { CortexError } from '@helexa/core';

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

  /** Id of a token that another part of the file names. */
  need(token: string, where: string): number {
    const id = this.#ids.get(token);
    if (id === undefined)
      throw this.#invalid(`${where} names the token '${token.slice(0, 40)}', which the vocabulary lacks`);
    return id;
  }

  #invalid(reason: string): CortexError {
    return new CortexError('tokenizer_invalid', { file: this.#file, reason });
  }
}
