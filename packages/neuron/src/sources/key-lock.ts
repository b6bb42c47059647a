/** One at a time for each key; a key is forgotten when nobody wants it. */
export class KeyLock {
  readonly #tails = new Map<string, Promise<void>>();

  async run<Result>(key: string, use: () => Promise<Result>): Promise<Result> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const mine = before.then(use);
    const tail = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(key, tail);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
