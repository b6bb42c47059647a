import type { Clock } from '@helexa/core';

export interface DiskListingOptions {
  readonly clock: Clock;
  /** Reads the folders; the same id may come twice. */
  readonly scan: () => Promise<readonly string[]>;
}

/** What a person puts into a folder is listed after this time at the latest. */
const longestAgeMs = 5000;

/** Ids of models on disk. Gateways ask every second: folders are read anew only after a while, or when models came or left here. */
export class DiskListing {
  readonly #options: DiskListingOptions;
  #last: { readonly epoch: string; readonly atMs: number; readonly ids: Promise<readonly string[]> } | undefined;

  constructor(options: DiskListingOptions) {
    this.#options = options;
  }

  /** The ids, each once, as of this epoch of the model table. */
  ids(epoch: string): Promise<readonly string[]> {
    const { clock, scan } = this.#options;
    const nowMs = clock.now();
    if (this.#last?.epoch === epoch && nowMs - this.#last.atMs < longestAgeMs) return this.#last.ids;
    const ids = scan().then((found) => [...new Set(found)]);
    const entry = { epoch, atMs: nowMs, ids };
    this.#last = entry;
    // A reading that failed is its caller's to hear, and nobody's after that.
    ids.catch(() => {
      if (this.#last === entry) this.#last = undefined;
    });
    return ids;
  }
}
