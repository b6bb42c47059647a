/**
 * A bounded hand-over from one writer to one reader. The writer asks `isFull` before it makes more; nothing is dropped.
 *
 * Ends once: by `end`, by `fail`, or by the reader's leaving (`onLeave` runs then).
 */
export class EventQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  readonly #capacity: number;
  readonly #onDrain: () => void;
  readonly #onLeave: () => void;
  #wake: (() => void) | null = null;
  #outcome: { readonly error: unknown } | 'open' | 'ended' = 'open';

  constructor(options: { capacity: number; onDrain: () => void; onLeave: () => void }) {
    this.#capacity = options.capacity;
    this.#onDrain = options.onDrain;
    this.#onLeave = options.onLeave;
  }

  get isFull(): boolean {
    return this.#items.length >= this.#capacity;
  }

  get isOpen(): boolean {
    return this.#outcome === 'open';
  }

  push(item: T): void {
    if (this.#outcome !== 'open') return;
    this.#items.push(item);
    this.#signal();
  }

  end(): void {
    if (this.#outcome !== 'open') return;
    this.#outcome = 'ended';
    this.#signal();
  }

  /** What was pushed before is still read; then the reader's `next` rejects. */
  fail(error: unknown): void {
    if (this.#outcome !== 'open') return;
    this.#outcome = { error };
    this.#signal();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) {
          if (this.#items.length === this.#capacity - 1) this.#onDrain();
          yield item;
        } else if (this.#outcome === 'ended') {
          return;
        } else if (this.#outcome !== 'open') {
          throw this.#outcome.error;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      if (this.#outcome === 'open') {
        this.#outcome = 'ended';
        this.#items.length = 0;
        this.#onLeave();
      }
    }
  }

  #signal(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
