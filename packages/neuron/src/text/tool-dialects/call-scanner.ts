/** Whether an object goes on, has ended, or cannot be a call. */
export type ScanProgress = 'inside' | 'end' | 'no-call';

/**
 * Follows a JSON object character by character to its end, and says as soon as it has a member that a call has not. It does
 * not check the JSON: whoever reads the whole object does.
 */
export class CallScanner {
  readonly #members: ReadonlySet<string>;
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  /** At depth 1: the next string is a key. */
  #wantsKey = false;
  /** Key that is being read, at depth 1; null: a string is a value. */
  #key: string | null = null;

  constructor(members: ReadonlySet<string>) {
    this.#members = members;
  }

  push(char: string): ScanProgress {
    if (this.#inString) return this.#string(char);
    switch (char) {
      case '"':
        this.#inString = true;
        this.#key = this.#wantsKey ? '' : null;
        this.#wantsKey = false;
        return 'inside';
      case '{':
      case '[':
        if (this.#wantsKey) return 'no-call';
        this.#depth++;
        this.#wantsKey = this.#depth === 1;
        return 'inside';
      case '}':
      case ']':
        this.#depth--;
        return this.#depth === 0 ? 'end' : 'inside';
      case ',':
        this.#wantsKey = this.#depth === 1;
        return 'inside';
      default:
        return this.#wantsKey && char.trim() !== '' ? 'no-call' : 'inside';
    }
  }

  #string(char: string): ScanProgress {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (char === '\\') this.#isEscaped = true;
    else if (char === '"') {
      this.#inString = false;
      return this.#key === null || this.#members.has(this.#key) ? 'inside' : 'no-call';
    }
    if (this.#key !== null) this.#key += char;
    return 'inside';
  }
}
