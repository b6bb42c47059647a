import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Checkpoint, CortexError } from '@helexa/core';

/** Larger than any published tokenizer or template: a file beyond it is refused before it is read. */
const maxFileBytes = 256 * 1024 * 1024;

/** Reads the small text files that lie beside a model's weights. */
export class ModelFiles {
  /** Folder of the files. */
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  static of(source: Checkpoint | string): ModelFiles {
    if (typeof source === 'string') return new ModelFiles(source);
    return new ModelFiles(source.kind === 'gguf' ? dirname(source.path) : source.path);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Text of a file; undefined when there is no such file. */
  text(name: string): string | undefined {
    const file = this.path(name);
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined) return undefined;
    if (size > maxFileBytes) {
      throw new CortexError('checkpoint_invalid', {
        file,
        reason: `it has ${size} bytes; at most ${maxFileBytes} are read`,
      });
    }
    try {
      return readFileSync(file, 'utf8');
    } catch (cause) {
      throw new CortexError('checkpoint_invalid', { file, reason: (cause as Error).message }, { cause });
    }
  }

  /** Names in a folder; none when there is no such folder. */
  names(folder: string): string[] {
    const path = this.path(folder);
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(path) : [];
  }

  /** Parsed JSON of a file; undefined when there is no such file. */
  json(name: string): unknown {
    const text = this.text(name);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw new CortexError('checkpoint_invalid', { file: this.path(name), reason: 'it is not JSON' }, { cause });
    }
  }
}
