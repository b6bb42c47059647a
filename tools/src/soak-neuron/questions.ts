import { RandomWords } from '../random-model/random-words.js';
import type { Fate } from './ask.js';
import { soakModel } from './served-model.js';

/** Draws requests: of all lengths, streamed and whole, some with a beginning in common, of several principals and of nobody. */
export class Questions {
  readonly #words: RandomWords;
  readonly #abortShare: number;

  constructor(seed: number, abortShare: number) {
    this.#words = new RandomWords(seed);
    this.#abortShare = abortShare;
  }

  next(): { body: Record<string, unknown>; principal: string | null; fate: Fate } {
    const text = (this.#below(3) === 0 ? 'the same beginning of a conversation '.repeat(3) : '') + this.#text();
    const isStreamed = this.#below(3) > 0;
    return {
      body: {
        model: soakModel,
        messages: [{ role: 'user', content: text }],
        max_tokens: 1 + this.#below(32),
        temperature: this.#below(2),
        n: this.#below(12) === 0 ? 2 : 1,
        ...(isStreamed ? { stream: true, stream_options: { include_usage: this.#below(2) === 0 } } : {}),
      },
      principal: this.#below(4) === 0 ? null : `p${this.#below(5)}`,
      fate: this.#fate(isStreamed),
    };
  }

  /** A whole number from 0 to below `end`. */
  #below(end: number): number {
    return this.#words.next() % end;
  }

  #text(): string {
    return Array.from({ length: 1 + this.#below(40) }, () => this.#below(1000).toString(36)).join(' ');
  }

  #fate(isStreamed: boolean): Fate {
    if (this.#below(1000) >= this.#abortShare * 1000) return { kind: 'reads' };
    const kind = this.#below(8);
    if (kind === 0) return { kind: 'half-body' };
    if (kind < 4 || !isStreamed) return { kind: 'after-ms', delayMs: this.#below(kind === 1 ? 3 : 20) };
    return { kind: 'after-events', events: 1 + this.#below(12), pauseMs: this.#below(3) === 0 ? this.#below(40) : 0 };
  }
}
