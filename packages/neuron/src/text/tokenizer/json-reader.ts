import { CortexError } from '@helexa/core';
import { isRecord } from '../json.js';

/** Reads fields of one part of a tokenizer.json; what has the wrong type is a typed error that names the field. */
export class JsonReader {
  readonly file: string;
  readonly #path: string;
  readonly #record: Readonly<Record<string, unknown>>;

  constructor(value: unknown, file: string, path: string) {
    if (!isRecord(value)) throw invalid(file, path, 'an object');
    this.#record = value;
    this.#path = path;
    this.file = file;
  }

  raw(key: string): unknown {
    return Object.hasOwn(this.#record, key) ? this.#record[key] : undefined;
  }

  has(key: string): boolean {
    const value = this.raw(key);
    return value !== undefined && value !== null;
  }

  string(key: string, fallback?: string): string {
    const value = this.has(key) ? this.raw(key) : fallback;
    if (typeof value !== 'string') throw invalid(this.file, `${this.#path}.${key}`, 'a string');
    return value;
  }

  boolean(key: string, fallback?: boolean): boolean {
    const value = this.has(key) ? this.raw(key) : fallback;
    if (typeof value !== 'boolean') throw invalid(this.file, `${this.#path}.${key}`, 'true or false');
    return value;
  }

  integer(key: string, fallback?: number): number {
    const value = this.has(key) ? this.raw(key) : fallback;
    if (!Number.isSafeInteger(value) || (value as number) < 0) {
      throw invalid(this.file, `${this.#path}.${key}`, 'an integer of at least 0');
    }
    return value as number;
  }

  array(key: string): readonly unknown[] {
    const value = this.raw(key);
    if (!Array.isArray(value)) throw invalid(this.file, `${this.#path}.${key}`, 'an array');
    return value;
  }

  object(key: string): JsonReader {
    return new JsonReader(this.raw(key), this.file, `${this.#path}.${key}`);
  }

  objects(key: string): JsonReader[] {
    return this.array(key).map((item, index) => new JsonReader(item, this.file, `${this.#path}.${key}[${index}]`));
  }

  /** Visits every field; a vocabulary has too many of them to make a pair of each. */
  forEach(visit: (key: string, value: unknown) => void): void {
    for (const key of Object.keys(this.#record)) visit(key, this.#record[key]);
  }

  /** An error about a value of this part that is well-formed but not known here. */
  unsupported(key: string, supported: readonly string[]): CortexError {
    return new CortexError('tokenizer_unsupported', {
      file: this.file,
      part: `${this.#path}.${key}`,
      value: String(this.raw(key)),
      supported,
    });
  }

  invalid(reason: string): CortexError {
    return new CortexError('tokenizer_invalid', { file: this.file, reason: `${this.#path} ${reason}` });
  }
}

const invalid = (file: string, path: string, wanted: string) =>
  new CortexError('tokenizer_invalid', { file, reason: `'${path}' is not ${wanted}` });
