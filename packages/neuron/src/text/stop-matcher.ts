/** One step of stop matching: text that is safe to emit, and the stop string that ended the output, if one did. */
export interface StopResult {
  readonly text: string;
  readonly stopped: string | null;
}

/**
 * Finds stop strings in streamed text. Text that may still grow into a stop string is held back, so no part of one is ever
 * emitted. The earliest match wins; of matches that start together, the shortest: it is complete first.
 */
export class StopMatcher {
  readonly #stops: readonly string[];
  #held = '';
  #stopped: string | null = null;

  /** Empty stop strings match nothing and are left out. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  get stopped(): string | null {
    return this.#stopped;
  }

  push(chunk: string): StopResult {
    if (this.#stopped !== null) return { text: '', stopped: this.#stopped };
    if (this.#stops.length === 0) return { text: chunk, stopped: null };
    const text = this.#held + chunk;
    const match = this.#earliest(text);
    // A longer stop string that began earlier may still complete: wait for it before a later match ends the output.
    const hold = this.#holdStart(text, match?.at ?? text.length);
    if (match !== null && hold >= match.at) {
      this.#held = '';
      this.#stopped = match.stop;
      return { text: text.slice(0, match.at), stopped: match.stop };
    }
    this.#held = text.slice(hold);
    return { text: text.slice(0, hold), stopped: null };
  }

  /** Ends the stream: what was held back is text after all, unless a match was waiting behind it. */
  flush(): StopResult {
    const text = this.#held;
    this.#held = '';
    if (this.#stopped !== null) return { text: '', stopped: this.#stopped };
    const match = this.#earliest(text);
    if (match === null) return { text, stopped: null };
    this.#stopped = match.stop;
    return { text: text.slice(0, match.at), stopped: match.stop };
  }

  #earliest(text: string): { at: number; stop: string } | null {
    let best: { at: number; stop: string } | null = null;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at < 0) continue;
      if (best === null || at < best.at || (at === best.at && stop.length < best.stop.length)) best = { at, stop };
    }
    return best;
  }

  /** First index before `limit` at which the rest of the text is a proper prefix of a stop string. */
  #holdStart(text: string, limit: number): number {
    let start = limit;
    for (const stop of this.#stops) {
      for (let at = Math.max(0, text.length - stop.length + 1); at < start; at++) {
        if (stop.startsWith(text.slice(at))) {
          start = at;
          break;
        }
      }
    }
    return start;
  }
}
