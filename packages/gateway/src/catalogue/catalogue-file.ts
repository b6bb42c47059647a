import { stat } from 'node:fs/promises';
import { type Clock, loadModelsConfig } from '@helexa/core';
import { type Catalogue, createCatalogue } from './catalogue.js';

export interface CatalogueFileOptions {
  readonly file: string;
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly onChange: (catalogue: Catalogue) => void;
  /** A file that cannot be used changes nothing; this is called instead. */
  readonly onError: (error: unknown) => void;
}

/** Where a catalogue comes from and what keeps it fresh. */
export interface CatalogueSource {
  /** Reads the catalogue for the first time, when a fault of it is fatal. */
  start(): Promise<void>;
  /** Reads it now; settles with what is wrong with it, when the catalogue stays what it was. */
  reload(): Promise<unknown>;
  close(): Promise<void>;
}

/** Changes with every way of writing a file: in place, or another one under its name. */
const stampOf = async (file: string): Promise<string> => {
  const { mtimeMs, size, ino } = await stat(file);
  return `${mtimeMs}:${size}:${ino}`;
};

/** Keeps a catalogue like its file: looks for changes now and then, and whenever it is told to. */
export class CatalogueFile implements CatalogueSource {
  readonly #options: CatalogueFileOptions;
  #stamp = '';
  #running: Promise<unknown> | undefined;
  #cancelNext: (() => void) | undefined;
  #isClosed = false;

  constructor(options: CatalogueFileOptions) {
    this.#options = options;
  }

  /** Reads the file for the first time, when a fault of it is fatal; then watches it. */
  async start(): Promise<void> {
    await this.#read();
    this.#schedule();
  }

  /** Reads the file now. Settles with what is wrong with it, when the catalogue stays what it was. */
  reload(): Promise<unknown> {
    return this.#once(() => this.#read());
  }

  #once(run: () => Promise<void>): Promise<unknown> {
    this.#running ??= run()
      .catch((error: unknown) => {
        if (!this.#isClosed) this.#options.onError(error);
        return error;
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #read(): Promise<void> {
    const { file, onChange } = this.#options;
    // Taken before the text, so that a write in between is seen at the next look.
    this.#stamp = await stampOf(file).catch(() => '');
    const { config } = await loadModelsConfig(file);
    if (!this.#isClosed) onChange(createCatalogue(config));
  }

  #schedule(): void {
    if (this.#isClosed) return;
    const { clock, intervalMs, file } = this.#options;
    this.#cancelNext = clock.after(intervalMs, () => {
      void this.#once(async () => {
        // A file that is gone for the moment of its replacement is no change yet.
        const stamp = await stampOf(file).catch(() => this.#stamp);
        if (stamp !== this.#stamp) await this.#read();
      }).then(() => this.#schedule());
    });
  }

  /** Stops watching; settles when nothing is being read. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelNext?.();
    await this.#running;
  }
}
