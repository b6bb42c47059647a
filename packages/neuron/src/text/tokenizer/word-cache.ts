const longestWord = 48;

/** Remembers the tokens of recent words in two generations, so that it stays bounded without bookkeeping per hit. */
export class WordCache {
  readonly #capacity: number;
  #young = new Map<string, readonly number[]>();
  #old = new Map<string, readonly number[]>();

  constructor(capacity = 16_384) {
    this.#capacity = capacity;
  }

  get(word: string): readonly number[] | undefined {
    const young = this.#young.get(word);
    if (young !== undefined) return young;
    const old = this.#old.get(word);
    if (old !== undefined) this.set(word, old);
    return old;
  }

  set(word: string, ids: readonly number[]): void {
    if (word.length > longestWord) return;
    if (this.#young.size >= this.#capacity) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(word, ids);
  }
}
