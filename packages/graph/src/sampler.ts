/**
 * The sampling algorithm: which token follows, given the logits of one row. Every backend chooses the same token from the
 * same logits; this is the definition, in float64.
 *
 * 1. Repetition penalty r on every distinct token of the history: l > 0 ? l / r : l * r.
 * 2. For every token of the output part of the history: l -= frequency * count + presence.
 * 3. Logit biases are added. Tokens that the row's mask leaves out then count as negative infinity.
 * 4. Temperature <= 0: the largest logit, of equals the lowest id. Otherwise l / temperature.
 * 5. Top-k: the k largest, of equals the lower ids.
 * 6. Softmax over those.
 * 7. Top-p: most probable first, of equals the lower id first, the shortest run whose sum reaches p, at least one token.
 * 8. Min-p: tokens less probable than p times the most probable one are dropped.
 * 9. The draw: the first token of that order at which the running sum exceeds u times the sum of all that are left.
 *
 * Log-probabilities are those of the raw logits, before any of this.
 */

export interface SamplingParameters {
  readonly temperature: number;
  /** 0 is off. */
  readonly topK: number;
  /** 1 is off. */
  readonly topP: number;
  /** 0 is off. */
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly seedLow: number;
  readonly seedHigh: number;
  /** How many alternatives to report; -1: not even the chosen token's log-probability. */
  readonly topLogprobs: number;
  readonly biasToken: ArrayLike<number>;
  readonly biasValue: ArrayLike<number>;
  /** Tokens of prompt and output so far; the output starts at `promptLength`. */
  readonly history: ArrayLike<number>;
  readonly promptLength: number;
}

export interface SamplingRequest extends SamplingParameters {
  readonly logits: Float32Array;
  /** How many tokens this sequence has drawn before. */
  readonly counter: number;
  /** Bit t % 32 of word t / 32 allows token t; absent: every token may be chosen. */
  readonly mask?: Int32Array;
}

export interface TokenChoice {
  /** -1 when no token can be chosen. */
  readonly token: number;
  /** Bit 0: the logits held a NaN or a positive infinity. */
  readonly flags: number;
  /** Natural log-probability under the raw logits; 0 when none was asked for. */
  readonly logprob: number;
  /** Most probable tokens under the raw logits, best first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

const none: TokenChoice = { token: -1, flags: 0, logprob: 0, top: [] };

/** Chooses the token that follows one row. */
export function chooseToken(request: SamplingRequest): TokenChoice {
  const { logits, topLogprobs } = request;
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits) {
    if (Number.isNaN(logit) || logit === Number.POSITIVE_INFINITY) return { ...none, flags: 1 };
    if (logit > max) max = logit;
  }
  const token = max === Number.NEGATIVE_INFINITY ? -1 : pick(adjust(request), request);
  if (token < 0) return none;
  if (topLogprobs < 0) return { ...none, token };
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  const normaliser = max + Math.log(sum);
  const top = mostProbable(logits, topLogprobs).map((id) => ({ token: id, logprob: logits[id]! - normaliser }));
  return { token, flags: 0, logprob: logits[token]! - normaliser, top };
}

const allowsToken = (mask: Int32Array, id: number): boolean => ((mask[id >>> 5]! >>> (id & 31)) & 1) === 1;

function mostProbable(logits: Float32Array, count: number): readonly number[] {
  if (count === 0) return [];
  const order = new DescendingOrder(Float64Array.from(logits));
  return Array.from({ length: Math.min(count, logits.length) }, () => order.next()!);
}

/** Steps 1 to 3. */
function adjust(request: SamplingRequest): Float64Array {
  const { history, promptLength, repetitionPenalty, frequencyPenalty, presencePenalty } = request;
  const l = Float64Array.from(request.logits);
  if (repetitionPenalty !== 1) {
    for (const id of new Set(Array.from(history))) {
      l[id] = l[id]! > 0 ? l[id]! / repetitionPenalty : l[id]! * repetitionPenalty;
    }
  }
  if (frequencyPenalty !== 0 || presencePenalty !== 0) {
    const counts = new Map<number, number>();
    for (let i = promptLength; i < history.length; i++) counts.set(history[i]!, (counts.get(history[i]!) ?? 0) + 1);
    for (const [id, count] of counts) l[id]! -= frequencyPenalty * count + presencePenalty;
  }
  for (let i = 0; i < request.biasToken.length; i++) l[request.biasToken[i]!]! += request.biasValue[i]!;
  const { mask } = request;
  if (mask) for (let id = 0; id < l.length; id++) if (!allowsToken(mask, id)) l[id] = Number.NEGATIVE_INFINITY;
  return l;
}

/** Steps 4 to 9. */
function pick(l: Float64Array, request: SamplingRequest): number {
  const { temperature, topK, topP, minP } = request;
  let best = 0;
  for (let id = 1; id < l.length; id++) if (l[id]! > l[best]!) best = id;
  const max = l[best]!;
  if (!Number.isFinite(max)) return -1;
  if (temperature <= 0) return best;
  // Weights relative to the most probable token's, which is 1: the softmax without its common factor.
  const weightOf = (id: number): number => Math.exp((l[id]! - max) / temperature);
  const order = new DescendingOrder(l);
  const limit = topK > 0 ? Math.min(topK, l.length) : l.length;
  const ranked: number[] = [];
  let total = 0;
  if (limit < l.length) {
    for (let i = 0; i < limit; i++) ranked.push(order.next()!);
    for (const id of ranked) total += weightOf(id);
  } else {
    for (let id = 0; id < l.length; id++) total += weightOf(id);
  }
  const at = (index: number): number => {
    while (ranked.length <= index) ranked.push(order.next()!);
    return ranked[index]!;
  };
  let count = limit;
  if (topP < 1) {
    let sum = 0;
    for (count = 0; count < limit && (count === 0 || sum < topP * total); count++) sum += weightOf(at(count));
    total = sum;
  }
  if (minP > 0) {
    let sum = 0;
    let kept = 0;
    for (; kept < count && (kept === 0 || weightOf(at(kept)) >= minP); kept++) sum += weightOf(at(kept));
    count = kept;
    total = sum;
  }
  const wanted = randomUnit(request.seedLow, request.seedHigh, request.counter) * total;
  let sum = 0;
  let last = best;
  for (let index = 0; index < count; index++) {
    const weight = weightOf(at(index));
    if (weight === 0) break;
    last = at(index);
    sum += weight;
    if (sum > wanted) break;
  }
  // Not reached only when the running sum rounds below the total: the draw fell into the last bit.
  return last;
}

/** Ids by value, largest first and of equals the lower id first; a heap, since few of many are asked for. */
class DescendingOrder {
  readonly #values: Float64Array;
  readonly #heap: Int32Array;
  #size: number;

  constructor(values: Float64Array) {
    this.#values = values;
    this.#size = values.length;
    this.#heap = Int32Array.from(values.keys());
    for (let i = (this.#size >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  next(): number | undefined {
    if (this.#size === 0) return undefined;
    const first = this.#heap[0]!;
    this.#heap[0] = this.#heap[--this.#size]!;
    this.#sink(0);
    return first;
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#values[a]!, this.#values[b]!];
    return x > y || (x === y && a < b);
  }

  #sink(start: number): void {
    const id = this.#heap[start]!;
    let hole = start;
    for (let child = 2 * hole + 1; child < this.#size; child = 2 * hole + 1) {
      if (child + 1 < this.#size && this.#before(this.#heap[child + 1]!, this.#heap[child]!)) child++;
      if (!this.#before(this.#heap[child]!, id)) break;
      this.#heap[hole] = this.#heap[child]!;
      hole = child;
    }
    this.#heap[hole] = id;
  }
}

const mask64 = (1n << 64n) - 1n;

/**
 * A number in [0, 1) for the draw of one token: the top 53 bits of splitmix64's output number `counter` from this seed.
 *
 * @example randomUnit(1234567, 0, 0) // 6457827717110365317 / 2^64, to 53 bits
 */
export function randomUnit(seedLow: number, seedHigh: number, counter: number): number {
  const seed = (BigInt(seedHigh >>> 0) << 32n) | BigInt(seedLow >>> 0);
  let z = (seed + (BigInt(counter) + 1n) * 0x9e3779b97f4a7c15n) & mask64;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask64;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask64;
  z ^= z >> 31n;
  return Number(z >> 11n) / 2 ** 53;
}
