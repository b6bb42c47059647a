import { LoadConnection } from '../bench-gateway/load-connection.js';
import { descriptorsOf, type PinnedProcess, residentBytesOf } from '../bench-gateway/pinned-process.js';
import { requestBytes, smallBody, streamBytes } from '../bench-gateway/workload.js';
import { fittedRise } from '../soak-neuron/linear-fit.js';

export interface SoakOptions {
  readonly url: string;
  readonly gateway: PinnedProcess;
  readonly requests: number;
  readonly concurrency: number;
  readonly abortShare: number;
  readonly seed: number;
  readonly onProgress: (line: string) => void;
}

export interface SoakReport {
  readonly counts: Readonly<Record<Outcome, number>>;
  readonly seconds: number;
  readonly residentBytes: readonly number[];
  /** Rise of a line fitted to what was measured after the warm-up, from its first to its last. */
  readonly residentRiseBytes: number;
  readonly heapRiseBytes: number;
  /** Open before the first request, and when the last connection of the soak was gone. */
  readonly descriptors: { readonly before: number; readonly after: number };
}

/** `wrong`: an answer that ended with another number of events than the neuron said. */
type Outcome = 'whole' | 'streamed' | 'translated' | 'left' | 'wrong' | 'failed' | 'hung';

const mostSamples = 50;
const requestsPerSample = 100;
/** Share of the requests until memory should have found its level. */
const warmUpShare = 0.4;
const deadlineMs = 60_000;
const chunks = 4;
/** A role, the chunks, how it finished and the end mark. */
const eventsOfStream = chunks + 3;
/** Longer than a connection to a neuron stays open for nothing. */
const settleMs = 15_000;

/** Numbers between 0 and 1 that are the same for the same seed. */
const random = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

const isLate = (): { readonly late: Promise<'hung'>; cancel(): void } => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'hung'>((resolve) => {
    timer = setTimeout(() => resolve('hung'), deadlineMs);
  });
  return { late, cancel: () => clearTimeout(timer) };
};

/** A stream to its end. */
const streamed = async (connection: LoadConnection, request: Buffer): Promise<number> =>
  await new Promise((resolve, reject) => {
    let events = 0;
    const onEvents = (count: number, isLast: boolean): void => {
      events += count;
      if (isLast) resolve(events);
    };
    connection.stream(request, onEvents).catch(reject);
  });

/** One request of a client, to its end or until the client leaves. */
const ask = async (
  connection: LoadConnection,
  host: string,
  next: () => number,
  abortShare: number,
): Promise<Outcome> => {
  const kind = next();
  const leaves = next() < abortShare;
  const path = kind < 0.2 ? '/v1/messages' : undefined;
  if (leaves) {
    const begun = connection.stream(streamBytes(host, chunks, 1, path), () => {}).catch(() => {});
    // Before the answer, in its first event, or somewhere in it.
    const when = next();
    if (when < 0.3) await new Promise<void>((resolve) => setImmediate(resolve));
    else await begun;
    if (when > 0.6) await new Promise((resolve) => setTimeout(resolve, 4 * next()));
    return 'left';
  }
  if (kind > 0.6) {
    await connection.exchange(requestBytes(host, smallBody));
    return 'whole';
  }
  const request = streamBytes(host, chunks, 1, path);
  if (path !== undefined) {
    await streamed(connection, request);
    return 'translated';
  }
  return (await streamed(connection, request)) === eventsOfStream ? 'streamed' : 'wrong';
};

/** Sends requests, some of which are given up at any moment, and watches what the gateway holds. */
export const soak = async (options: SoakOptions): Promise<SoakReport> => {
  const { url, gateway, requests, concurrency, abortShare, seed, onProgress } = options;
  const { host } = new URL(url);
  const next = random(seed);
  const counts: Record<Outcome, number> = {
    whole: 0,
    streamed: 0,
    translated: 0,
    left: 0,
    wrong: 0,
    failed: 0,
    hung: 0,
  };
  const samples = Math.min(mostSamples, Math.ceil(requests / requestsPerSample));
  const before = descriptorsOf(gateway.pid);
  const startedMs = performance.now();
  const residentBytes: number[] = [];
  const heapBytes: number[] = [];
  let asked = 0;
  const client = async (until: number): Promise<void> => {
    let connection: LoadConnection | undefined;
    while (asked < until) {
      asked += 1;
      connection ??= await LoadConnection.open(url);
      const { late, cancel } = isLate();
      const outcome = await Promise.race([
        ask(connection, host, next, abortShare).catch((): Outcome => 'failed'),
        late,
      ]);
      cancel();
      counts[outcome] += 1;
      if (outcome === 'whole' || outcome === 'streamed' || outcome === 'translated') continue;
      connection.close();
      connection = undefined;
    }
    connection?.close();
  };
  for (let sample = 1; sample <= samples; sample++) {
    const until = Math.round((requests * sample) / samples);
    await Promise.all(Array.from({ length: concurrency }, () => client(until)));
    const { heapBytes: heap } = await gateway.ask<{ heapBytes: number }>('collect');
    heapBytes.push(heap);
    residentBytes.push(residentBytesOf(gateway.pid));
    if (sample % 5 === 0) onProgress(`${asked} requests, ${mebibytes(residentBytes.at(-1) ?? 0)} MiB resident`);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const settledBy = performance.now() + settleMs;
  while (descriptorsOf(gateway.pid) > before && performance.now() < settledBy) {
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const first = Math.floor(samples * warmUpShare);
  return {
    counts,
    seconds,
    residentBytes,
    residentRiseBytes: fittedRise(residentBytes.slice(first)),
    heapRiseBytes: fittedRise(heapBytes.slice(first)),
    descriptors: { before, after: descriptorsOf(gateway.pid) },
  };
};

export const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
