/** Tells that something is to end, and why. An `AbortSignal` is one too; this one costs a fraction of it. */
export interface StopSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Ends things once. Every request has two, so they are plain values: no events, no weak references. */
export class Stop implements StopSignal {
  #isAborted = false;
  #reason: unknown;
  #listeners: (() => void)[] = [];

  get aborted(): boolean {
    return this.#isAborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** The signal of this stop, as an `AbortController` has one. */
  get signal(): StopSignal {
    return this;
  }

  throwIfAborted(): void {
    if (this.#isAborted) throw this.#reason;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (!this.#isAborted && !this.#listeners.includes(listener)) this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners.indexOf(listener);
    if (at >= 0) this.#listeners.splice(at, 1);
  }

  abort(reason: unknown = new DOMException('This operation was aborted', 'AbortError')): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#reason = reason;
    // One that an earlier one has taken away is not called any more, as with an `AbortSignal`.
    for (const listener of [...this.#listeners]) if (this.#listeners.includes(listener)) listener();
    this.#listeners = [];
  }
}
