import { CortexError } from '@helexa/core';

/** What one rendering may cost. A hostile template runs into a limit; a long conversation stays far below. */
export interface RenderLimits {
  /** Evaluated nodes, plus one for every 64 characters or 8 items that an operation copies. */
  readonly steps: number;
  /** Characters of any one string, and of the output. */
  readonly characters: number;
  /** Nesting of macro calls, and of values. */
  readonly depth: number;
}

export const defaultRenderLimits: RenderLimits = { steps: 4_000_000, characters: 32 * 1024 * 1024, depth: 100 };

/** Longest range, as the reference sandbox has it. */
export const maxRange = 100_000;

/** State of one rendering: where it is, what it has spent, and how it fails. */
export class Runtime {
  readonly limits: RenderLimits;
  readonly now: () => Date;
  line = 1;
  readonly #source: string;
  #steps = 0;
  #depth = 0;

  constructor(source: string, now: () => Date, limits: RenderLimits) {
    this.#source = source;
    this.now = now;
    this.limits = limits;
  }

  /** Counts work; fails when the rendering has done too much. */
  spend(steps = 1): void {
    this.#steps += steps;
    if (this.#steps > this.limits.steps) throw this.fail(`it takes more than ${this.limits.steps} steps`);
  }

  /** Counts a string that an operation makes, and returns it. */
  text(value: string): string {
    this.reserve(value.length);
    this.spend(value.length >> 6);
    return value;
  }

  /** Refuses a string before it is made. */
  reserve(characters: number): void {
    if (characters > this.limits.characters) {
      throw this.fail(`a text is longer than ${this.limits.characters} characters`);
    }
  }

  /** Counts an operation that reads all of a text, list or dictionary. */
  touch(value: unknown): void {
    if (typeof value === 'string') this.spend(value.length >> 6);
    else if (Array.isArray(value)) this.spend(value.length >> 2);
    else if (value instanceof Map) this.spend(value.size >> 2);
  }

  list<T>(items: T[]): T[] {
    this.spend(items.length >> 3);
    return items;
  }

  nested<T>(body: () => T): T {
    if (++this.#depth > this.limits.depth) throw this.fail(`it is nested more than ${this.limits.depth} deep`);
    try {
      return body();
    } finally {
      this.#depth--;
    }
  }

  fail(reason: string, cause?: unknown): CortexError {
    return new CortexError('template_render_failed', { source: this.#source, line: this.line, reason }, { cause });
  }
}
