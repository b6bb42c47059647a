import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, type Outcome } from './ask.js';
import { fittedRise } from './linear-fit.js';
import { Questions } from './questions.js';
import type { Holdings, SoakedNeuron } from './soaked-neuron.js';

export interface SoakOptions {
  readonly requests: number;
  readonly concurrency: number;
  readonly abortShare: number;
  readonly seed: number;
  readonly onProgress: (line: string) => void;
}

export interface SoakReport {
  readonly counts: Readonly<Record<Outcome['kind'], number>>;
  /** What failed, the first few. */
  readonly failures: readonly string[];
  readonly seconds: number;
  readonly before: Holdings;
  readonly after: Holdings;
  /** Rise of a line fitted to what was measured after the warm-up, from its first to its last. */
  readonly rssRiseBytes: number;
  readonly heapRiseBytes: number;
  readonly rssBytes: readonly number[];
}

const samples = 60;
/** Share of the requests until memory should have found its level. */
const warmUpShare = 0.4;
const deadlineMs = 120_000;

/** Sends requests, some of which are given up at any moment, and compares what the neuron holds before and after. */
export async function soak(neuron: SoakedNeuron, options: SoakOptions): Promise<SoakReport> {
  const { requests, concurrency, abortShare, seed, onProgress } = options;
  const questions = new Questions(seed, abortShare);
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const counts: Record<Outcome['kind'], number> = { served: 0, rejected: 0, left: 0, failed: 0, hung: 0 };
  const failures: string[] = [];
  const rssBytes: number[] = [];
  const heapBytes: number[] = [];
  const before = await settled(neuron);
  const startedMs = performance.now();
  let asked = 0;
  const client = async (share: number) => {
    for (let index = 0; index < share; index++) {
      const outcome = await ask({ url: neuron.url, agent, deadlineMs, ...questions.next() });
      counts[outcome.kind] += 1;
      if (outcome.kind === 'failed' && failures.length < 5) failures.push(outcome.what);
      asked += 1;
    }
  };
  for (let sample = 0; sample < samples; sample++) {
    const until = Math.round((requests * (sample + 1)) / samples);
    const due = until - asked;
    const shares = Array.from({ length: concurrency }, (_, index) => Math.floor((due + index) / concurrency));
    await Promise.all(shares.map(client));
    const memory = await neuron.sample();
    rssBytes.push(memory.rssBytes);
    heapBytes.push(memory.heapBytes);
    if (sample % 6 === 5)
      onProgress(
        `${asked} requests, ${mebibytes(memory.rssBytes)} MiB resident, ${mebibytes(memory.heapBytes)} MiB heap`,
      );
  }
  const seconds = (performance.now() - startedMs) / 1000;
  agent.destroy();
  const after = await settled(neuron);
  const first = Math.floor(samples * warmUpShare);
  return {
    counts,
    failures,
    seconds,
    before,
    after,
    rssBytes,
    rssRiseBytes: fittedRise(rssBytes.slice(first)),
    heapRiseBytes: fittedRise(heapBytes.slice(first)),
  };
}

export const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

/** What a neuron holds once the last who left was noticed; what does not go away within seconds is leaked. */
async function settled(neuron: SoakedNeuron): Promise<Holdings> {
  for (let attempt = 0; ; attempt++) {
    const holdings = await neuron.holdings();
    if (attempt === 50 || holdings.running + holdings.waiting + holdings.pagesUsed === 0) return holdings;
    await delay(100);
  }
}
