export interface LineBatchOptions {
  /** Takes lines that end, any number of them at once. */
  readonly write: (lines: string) => void;
  /** Runs something when the work at hand is done: `setImmediate`. */
  readonly later: (run: () => void) => void;
}

/** Writes lines that come in one turn of the event loop in one go; a write costs more than most of what it tells about. */
export class LineBatch {
  readonly #options: LineBatchOptions;
  #held = '';

  constructor(options: LineBatchOptions) {
    this.#options = options;
  }

  write(line: string): void {
    if (this.#held === '') this.#options.later(() => this.flush());
    this.#held += line;
  }

  /** Writes what is held at once; the process is about to end. */
  flush(): void {
    if (this.#held === '') return;
    const lines = this.#held;
    this.#held = '';
    this.#options.write(lines);
  }
}
