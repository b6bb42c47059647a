import { pageTokens } from '@helexa/graph';
import { type LoadedModel, type SamplingParameters, StepWriter } from '@helexa/neuron/loading';

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
  /** Whether a short run comes before the first that is timed. */
  readonly warmUp: boolean;
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
export function limitsFor(workload: Omit<Workload, 'repeat' | 'warmUp'>): {
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

/** Feeds a loaded model as a benchmark does: each of `batch` sequences keeps its pages, tokens are arbitrary. */
export interface BenchDriver {
  /** Reads `count` tokens into every sequence from position `from` on; the last row of each is sampled. */
  readonly prefill: (from: number, count: number) => Promise<StepTime>;
  /** `count` steps of one token per sequence, from position `from` on. */
  readonly decode: (from: number, count: number) => Promise<StepTime>;
}

/** Nanoseconds on the caller's clock, and of those what the device spent. */
export interface StepTime {
  readonly wallNs: number;
  readonly deviceNs: number;
}

/** Opens the slots of `batch` sequences on a loaded model; `now` counts nanoseconds. */
export function openBenchDriver(
  { device }: Pick<LoadedModel, 'device'>,
  batch: number,
  now: () => bigint,
): BenchDriver {
  const { limits } = device.layout;
  const writer = new StepWriter(device.layout, device.buffer);
  const next = tokenStream(limits.vocab);
  const slots = Array.from({ length: batch }, (_, slot) => slot);
  const tokens = (count: number) => Array.from({ length: count }, next);
  const pagesPerSequence = Math.min(device.layout.pagesPerSlot, Math.floor(limits.pages / batch));
  for (const slot of slots) {
    writer.openSlot(slot, [], greedy, 0n);
    writer.writePages(
      slot,
      Array.from({ length: pagesPerSequence }, (_, page) => slot * pagesPerSequence + page),
      0,
    );
  }
  const timed = async (work: (step: () => Promise<void>) => Promise<void>): Promise<StepTime> => {
    let deviceNs = 0;
    const begun = now();
    await work(async () => {
      deviceNs += (await device.step()).deviceNs;
    });
    return { wallNs: Number(now() - begun), deviceNs };
  };
  return {
    prefill: (from, count) =>
      timed(async (step) => {
        for (const slot of slots)
          for (let at = 0; at < count; at += limits.maxRows) {
            const rows = Math.min(limits.maxRows, count - at);
            writer.writeStep([
              { slot, start: from + at, tokens: tokens(rows), sampleCounter: at + rows === count ? 0 : null },
            ]);
            await step();
          }
      }),
    decode: (from, count) =>
      timed(async (step) => {
        for (let at = 0; at < count; at++) {
          writer.writeStep(slots.map((slot) => ({ slot, start: from + at, tokens: [next()], sampleCounter: at })));
          await step();
        }
      }),
  };
}

/** Runs the workload on a loaded model; `now` counts nanoseconds. */
export async function measure(model: LoadedModel, workload: Workload, now: () => bigint): Promise<Measured> {
  const driver = openBenchDriver(model, workload.batch, now);
  const rate = (count: number, { wallNs }: StepTime) => (count * workload.batch) / (wallNs / 1e9);
  // Two short runs first: pages are touched, threads are awake and no weights are left in files when the clock starts.
  if (workload.warmUp)
    for (let run = 0; run < 2; run++) await driver.prefill(0, Math.min(16, model.device.layout.limits.maxContext));
  const prefills: number[] = [];
  const decodes: number[] = [];
  for (let run = 0; run < workload.repeat; run++) {
    if (workload.prompt > 0) {
      await driver.prefill(0, workload.depth);
      prefills.push(rate(workload.prompt, await driver.prefill(workload.depth, workload.prompt)));
    }
    if (workload.generate > 0) {
      // A sequence starts anew: a recurrent state must hold exactly the tokens before this test.
      await driver.prefill(0, workload.depth);
      decodes.push(rate(workload.generate, await driver.decode(workload.depth, workload.generate)));
    }
  }
  return {
    prefill: prefills.length > 0 ? summarise(prefills) : null,
    decode: decodes.length > 0 ? summarise(decodes) : null,
  };
}
