import { pageTokens } from '@helexa/graph';
import { type LoadedModel, type SamplingParameters, StepWriter } from '@helexa/neuron';

/** What is measured: the shape of llama-bench's pp and tg tests, so that numbers can be set side by side. */
export interface Workload {
  /** Tokens of one prompt; 0 skips the prefill test. */
  readonly prompt: number;
  /** Tokens generated after it; 0 skips the decode test. */
  readonly generate: number;
  /** Sequences at once. */
  readonly batch: number;
  /** Tokens that already stand in the cache before either test. */
  readonly depth: number;
  readonly repeat: number;
}

/** Tokens per second of one test over its repeats. */
export interface Rate {
  readonly mean: number;
  readonly deviation: number;
  readonly samples: readonly number[];
}

export interface Measured {
  readonly prefill: Rate | null;
  readonly decode: Rate | null;
}

const greedy: SamplingParameters = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  bias: [],
  topLogprobs: null,
};

/** Tokens any model takes, the same in every run; a linear congruential walk spreads them over the vocabulary. */
function tokenStream(vocab: number): () => number {
  let state = 12345;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state % vocab;
  };
}

/** Mean and sample deviation of rates. */
export function summarise(samples: readonly number[]): Rate {
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
  const squares = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0);
  return { mean, deviation: samples.length > 1 ? Math.sqrt(squares / (samples.length - 1)) : 0, samples };
}

/** Limits a model must be loaded with for a workload: every sequence keeps its pages from start to end. */
export function limitsFor(workload: Workload): {
  maxRows: number;
  maxSequences: number;
  maxSampled: number;
  maxContext: number;
  pages: number;
} {
  const tokens = workload.depth + Math.max(workload.prompt, workload.generate);
  const pagesPerSequence = Math.ceil(tokens / pageTokens);
  return {
    maxRows: 512,
    maxSequences: workload.batch,
    maxSampled: workload.batch,
    maxContext: pagesPerSequence * pageTokens,
    pages: pagesPerSequence * workload.batch,
  };
}

/** Runs the workload on a loaded model; `now` counts nanoseconds. */
export async function measure(model: LoadedModel, workload: Workload, now: () => bigint): Promise<Measured> {
  const { device } = model;
  const { limits } = device.layout;
  const writer = new StepWriter(device.layout, device.buffer);
  const next = tokenStream(limits.vocab);
  const slots = Array.from({ length: workload.batch }, (_, slot) => slot);
  const tokens = (count: number) => Array.from({ length: count }, next);

  const pagesPerSequence = Math.floor(limits.pages / workload.batch);
  for (const slot of slots) {
    writer.openSlot(slot, [], greedy, 0n);
    writer.writePages(
      slot,
      Array.from({ length: pagesPerSequence }, (_, page) => slot * pagesPerSequence + page),
      0,
    );
  }

  /** Reads `count` tokens into every sequence from position `from` on; the last row of each is sampled. */
  const prefill = async (from: number, count: number) => {
    for (const slot of slots)
      for (let at = 0; at < count; at += limits.maxRows) {
        const rows = Math.min(limits.maxRows, count - at);
        writer.writeStep([
          { slot, start: from + at, tokens: tokens(rows), sampleCounter: at + rows === count ? 0 : null },
        ]);
        await device.step();
      }
  };
  const decode = async (from: number, count: number) => {
    for (let at = 0; at < count; at++) {
      writer.writeStep(slots.map((slot) => ({ slot, start: from + at, tokens: [next()], sampleCounter: at })));
      await device.step();
    }
  };
  const rate = async (count: number, work: () => Promise<void>): Promise<number> => {
    const begun = now();
    await work();
    return (count * workload.batch) / (Number(now() - begun) / 1e9);
  };

  // One short run first: pages are touched and threads are awake when the clock starts.
  await prefill(0, Math.min(16, limits.maxContext));
  const prefills: number[] = [];
  const decodes: number[] = [];
  for (let run = 0; run < workload.repeat; run++) {
    if (workload.prompt > 0) {
      await prefill(0, workload.depth);
      prefills.push(await rate(workload.prompt, () => prefill(workload.depth, workload.prompt)));
    }
    if (workload.generate > 0) {
      // A sequence starts anew: a recurrent state must hold exactly the tokens before this test.
      await prefill(0, workload.depth);
      decodes.push(await rate(workload.generate, () => decode(workload.depth, workload.generate)));
    }
  }
  return {
    prefill: prefills.length > 0 ? summarise(prefills) : null,
    decode: decodes.length > 0 ? summarise(decodes) : null,
  };
}
