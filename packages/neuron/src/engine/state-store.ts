/**
 * Which recurrent states are kept on the device beside those of running sequences, and what for: the state after the tokens
 * of a page lets a sequence with the same beginning go on from there. The least recently used gives way.
 */
export class StateStore<Key extends object> {
  /** Least recently used first. */
  readonly #byKey = new Map<Key, number>();
  readonly #free: number[];

  /** States `first` to `first + count - 1` of the device. */
  constructor({ first, count }: { readonly first: number; readonly count: number }) {
    this.#free = Array.from({ length: count }, (_, index) => first + count - 1 - index);
  }

  has(key: Key): boolean {
    return this.#byKey.has(key);
  }

  /** The state kept for a key, which then counts as just used; null when there is none. */
  use(key: Key): number | null {
    const state = this.#byKey.get(key);
    if (state === undefined) return null;
    this.#byKey.delete(key);
    this.#byKey.set(key, state);
    return state;
  }

  /** A state to keep for a key that has none. */
  take(key: Key): number {
    const [oldest] = this.#byKey.keys();
    if (this.#free.length === 0 && oldest) this.forget(oldest);
    const state = this.#free.pop()!;
    this.#byKey.set(key, state);
    return state;
  }

  forget(key: Key): void {
    const state = this.#byKey.get(key);
    if (state === undefined) return;
    this.#byKey.delete(key);
    this.#free.push(state);
  }
}
