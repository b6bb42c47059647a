/** What an answer was seen to hold, without a change to one of its bytes. */
export interface SeenTokens {
  /** As the neuron reported; absent when the answer ended before it did. */
  readonly usage: Usage | undefined;
  /** Pieces of text, thought or arguments that came: about one for each token. */
  readonly deltas: number;
  readonly firstMs: number | undefined;
  readonly lastMs: number | undefined;
}

export interface Usage {
  readonly prompt: number;
  readonly completion: number;
  readonly cached: number;
}

export interface TokenObserverOptions {
  readonly now: () => number;
  /** Called for every piece after the first, with the time since the one before. */
  readonly onGap: (ms: number) => void;
}

/** A piece of an answer: one of these keys with text in it. */
const piece = /"(?:content|reasoning|reasoning_content|text|arguments)":\s*"(?!")/;
const tailBytes = 64 << 10;

const lastNumber = (text: string, names: readonly string[]): number | undefined => {
  for (const name of names) {
    const at = text.lastIndexOf(`"${name}"`);
    const found = at < 0 ? undefined : /^"[a-z_]+":\s*(\d+)/.exec(text.slice(at, at + 64))?.[1];
    if (found !== undefined) return Number(found);
  }
  return undefined;
};

/** The last usage that a text tells, in the words of either API. */
const usageIn = (text: string): Usage | undefined => {
  const at = text.lastIndexOf('"usage"');
  if (at < 0) return undefined;
  const tail = text.slice(at);
  const prompt = lastNumber(tail, ['prompt_tokens', 'input_tokens']);
  const completion = lastNumber(tail, ['completion_tokens', 'output_tokens']);
  if (prompt === undefined && completion === undefined) return undefined;
  return { prompt: prompt ?? 0, completion: completion ?? 0, cached: lastNumber(tail, ['cached_tokens']) ?? 0 };
};

/** Counts the tokens of one answer as it passes. */
export class TokenObserver {
  readonly #options: TokenObserverOptions;
  #deltas = 0;
  #firstMs: number | undefined;
  #lastMs: number | undefined;
  #usage: Usage | undefined;
  #tail = '';

  constructor(options: TokenObserverOptions) {
    this.#options = options;
  }

  /** Whole events of a stream. */
  events(bytes: Buffer): void {
    const text = bytes.toString('latin1');
    // Nearly always one event comes at a time.
    const isSingle = text.indexOf('\n\n') === text.length - 2 && !text.includes('\r');
    for (const event of isSingle ? [text] : text.split(/\r?\n\r?\n/)) {
      if (event.includes('"usage"')) this.#usage = usageIn(event) ?? this.#usage;
      if (piece.test(event)) this.#note();
    }
  }

  /** A part of an answer in one piece: its usage stands at the end. */
  part(bytes: Buffer): void {
    this.#tail = (this.#tail + bytes.toString('latin1')).slice(-tailBytes);
  }

  #note(): void {
    const nowMs = this.#options.now();
    if (this.#lastMs === undefined) this.#firstMs = nowMs;
    else this.#options.onGap(nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.#deltas += 1;
  }

  get seen(): SeenTokens {
    const usage = this.#usage ?? usageIn(this.#tail);
    return { usage, deltas: this.#deltas, firstMs: this.#firstMs, lastMs: this.#lastMs };
  }
}
