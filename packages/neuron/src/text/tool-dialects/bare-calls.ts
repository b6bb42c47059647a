import type { ToolSchema } from '../output-event.js';
import { CallScanner } from './call-scanner.js';
import type { BareDialect, ParsedCall } from './tool-dialect.js';

/** A stretch of an answer: plain text, or a call that took the place of its text. */
export type Piece =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'call'; readonly call: ParsedCall };

/**
 * Finds the calls of a dialect without marks. Text is held back while it may still become a call, and is text after all when
 * it does not. How the text is cut into pieces makes no difference.
 */
export class BareCalls {
  readonly #dialect: BareDialect;
  readonly #tools: readonly ToolSchema[];
  /**
   * start: nothing but blanks so far; object: inside a JSON object; between: after a call; tagged: after the tag; code: after
   * the tag and not JSON; answer: plain text to the end, or to the tag.
   */
  #state: 'start' | 'object' | 'between' | 'tagged' | 'code' | 'answer' = 'start';
  /** What is not decided yet: blanks, a separator, the tag, and what there is of an object or of code. */
  #held = '';
  /** Where in it the object begins, or the code. */
  #bodyAt = 0;
  #scanner: CallScanner;

  constructor(dialect: BareDialect, tools: readonly ToolSchema[]) {
    this.#dialect = dialect;
    this.#tools = tools;
    this.#scanner = new CallScanner(dialect.members);
  }

  push(text: string): Piece[] {
    const pieces: Piece[] = [];
    for (let at = 0; at < text.length; at++) {
      if (this.#state === 'answer') {
        pieces.push({ type: 'text', text: text.slice(at) });
        break;
      }
      const char = text[at]!;
      this.#held += char;
      if (this.#state === 'object') this.#scan(char, pieces);
      else if (this.#state !== 'code' && char === '{') {
        this.#bodyAt = this.#held.length - 1;
        this.#scanner = new CallScanner(this.#dialect.members);
        this.#state = 'object';
        this.#scan(char, pieces);
      } else if (this.#state !== 'code' && !this.#mayPrecedeCall(char)) {
        if (this.#state === 'tagged') this.#state = 'code';
        else this.#release(pieces);
      }
    }
    return pieces;
  }

  /** The tag came as a token. */
  tag(): Piece[] {
    const pieces = this.#state === 'between' ? [] : this.end();
    this.#held += this.#dialect.tag;
    this.#bodyAt = this.#held.length;
    this.#state = 'tagged';
    return pieces;
  }

  /** The answer ends, or a mark interrupts it: what is held is decided now. Blanks after the last call are the format's. */
  end(): Piece[] {
    const pieces: Piece[] = [];
    const state = this.#state;
    const call = state === 'code' ? this.#dialect.parseTagged(this.#held.slice(this.#bodyAt), this.#tools) : null;
    if (call !== null) this.#accept(call, pieces);
    else if (state === 'between' && this.#held.trim() === '') this.#held = '';
    else this.#release(pieces);
    // Blanks are not an answer yet.
    if (state === 'start') this.#state = 'start';
    return pieces;
  }

  #mayPrecedeCall(char: string): boolean {
    if (char.trim() === '') return true;
    // One separator between two calls.
    return this.#state === 'between' && (char === ';' || char === ',') && this.#held.trim().length === 1;
  }

  #scan(char: string, pieces: Piece[]): void {
    const progress = this.#scanner.push(char);
    if (progress === 'inside') return;
    const call = progress === 'end' ? this.#dialect.parse(this.#held.slice(this.#bodyAt), this.#tools) : null;
    if (call === null) this.#release(pieces);
    else this.#accept(call, pieces);
  }

  #accept(call: ParsedCall, pieces: Piece[]): void {
    this.#held = '';
    this.#state = 'between';
    pieces.push({ type: 'call', call });
  }

  #release(pieces: Piece[]): void {
    if (this.#held !== '') pieces.push({ type: 'text', text: this.#held });
    this.#held = '';
    this.#state = 'answer';
  }
}
