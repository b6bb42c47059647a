import type { ParityCase } from './parity-cases.js';
import type { StepDriver } from './step-driver.js';

/** How prompts are fed: whole, in chunks of a size, or all of them at once beside each other's decoding. */
export type FeedMode = { readonly name: string; readonly chunk: number; readonly together: boolean };

/** What one case gave in one mode. */
export interface CaseOutput {
  readonly logits: Float32Array;
  readonly greedy: readonly number[];
}

/** Cases that run together begin one step after another, so that prefill and decoding mix. */
export async function runCases(
  driver: StepDriver,
  cases: readonly ParityCase[],
  mode: FeedMode,
  maxRows: number,
): Promise<CaseOutput[]> {
  if (mode.together) return feed(driver, cases, mode.chunk, maxRows);
  const outputs: CaseOutput[] = [];
  for (const one of cases) outputs.push(...(await feed(driver, [one], mode.chunk, maxRows)));
  return outputs;
}

class Progress {
  readonly logits: Float32Array;
  readonly greedy: number[] = [];
  readonly #case: ParityCase;
  #fed = 0;

  constructor(parityCase: ParityCase) {
    this.#case = parityCase;
    this.logits = new Float32Array(parityCase.ids.length * parityCase.vocab);
  }

  get isDone(): boolean {
    return this.#fed >= this.#case.ids.length && this.greedy.length >= this.#case.greedy.length;
  }

  next(slot: number, chunk: number) {
    const { ids } = this.#case;
    const tokens = this.#fed < ids.length ? ids.slice(this.#fed, this.#fed + chunk) : [this.greedy.at(-1)!];
    return { slot, start: this.#fed, tokens, visual: this.#case.visual };
  }

  take(tokens: number, logits: Float32Array, next: number): void {
    const { ids, vocab } = this.#case;
    if (this.#fed < ids.length) this.logits.set(logits, this.#fed * vocab);
    this.#fed += tokens;
    if (this.#fed >= ids.length) this.greedy.push(next);
  }
}

async function feed(driver: StepDriver, cases: readonly ParityCase[], chunk: number, maxRows: number) {
  const all = cases.map((one) => new Progress(one));
  for (let step = 0; all.some((one) => !one.isDone); step++) {
    let room = maxRows;
    const active: Progress[] = [];
    const segments: ReturnType<Progress['next']>[] = [];
    all.forEach((one, slot) => {
      if (one.isDone || slot > step || room === 0) return;
      const segment = one.next(slot, Math.min(chunk, room));
      room -= segment.tokens.length;
      active.push(one);
      segments.push(segment);
    });
    const results = await driver.run(segments);
    active.forEach((one, index) => {
      const { logits, next } = results[index]!;
      one.take(segments[index]!.tokens.length, logits, next);
    });
  }
  return all.map(({ logits, greedy }) => ({ logits, greedy }));
}
