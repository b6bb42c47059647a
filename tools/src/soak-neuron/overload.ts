import { Agent } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from '../bench-cpu/statistics.js';
import { ask, type Outcome } from './ask.js';
import { soakModel } from './served-model.js';
import type { SoakedNeuron } from './soaked-neuron.js';

export interface OverloadOptions {
  /** Clients that keep the machine busy, without more waiting than it takes. */
  readonly clients: number;
  readonly seconds: number;
  readonly factor: number;
}

export interface OverloadReport {
  /** Requests a second, served when as many come as can be, and when many more do. */
  readonly capacity: number;
  readonly goodput: number;
  readonly offered: number;
  readonly counts: Readonly<Record<Outcome['kind'], number>>;
  /** What failed, the first few. */
  readonly failures: readonly string[];
  readonly rejectionMs: { readonly p50: number; readonly p99: number };
  /** Longest time for which the client itself did not get to run: rejections cannot look shorter than that. */
  readonly clientStallMs: number;
  /** Processor time of the neuron for each request, served or not: what a rejection costs at most. */
  readonly cpuMsPerRequest: number;
  /** Requests served of the light principal, who asks for a tenth of its fair share; and how many it sent. */
  readonly light: { readonly served: number; readonly asked: number };
}

const body = { model: soakModel, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 16, temperature: 0 };
const common = { body, fate: { kind: 'reads' }, deadlineMs: 60_000 } as const;

/** Measures what a neuron serves when it is just busy, then offers a multiple of that. */
export async function overload(neuron: SoakedNeuron, options: OverloadOptions): Promise<OverloadReport> {
  const agent = new Agent({ keepAlive: true, maxSockets: 2000 });
  const capacity = await measureCapacity(neuron, agent, options);
  const offered = capacity * options.factor;
  const before = await neuron.sample();
  const outcomes: { principal: string; outcome: Outcome }[] = [];
  const pending: Promise<void>[] = [];
  const startedMs = performance.now();
  const endMs = startedMs + options.seconds * 1000;
  const stalls = monitorEventLoopDelay({ resolution: 5 });
  stalls.enable();
  let served = 0;
  // An open loop: requests come at their time, whatever became of those before.
  for (let sent = 0; performance.now() < endMs; sent++) {
    const dueMs = startedMs + (sent / offered) * 1000;
    const early = dueMs - performance.now();
    if (early > 1) await delay(early);
    const principal = sent % (options.factor * 10) === 0 ? 'light' : `heavy ${sent % 3}`;
    pending.push(
      ask({ ...common, url: neuron.url, agent, principal }).then((outcome) => {
        if (outcome.kind === 'served' && performance.now() < endMs) served += 1;
        outcomes.push({ principal, outcome });
      }),
    );
  }
  const elapsed = (performance.now() - startedMs) / 1000;
  await Promise.all(pending);
  agent.destroy();
  stalls.disable();
  const { cpuMs } = await neuron.sample();
  const counts: Record<Outcome['kind'], number> = { served: 0, rejected: 0, left: 0, failed: 0, hung: 0 };
  for (const { outcome } of outcomes) counts[outcome.kind] += 1;
  const rejectionMs = outcomes.flatMap(({ outcome }) => (outcome.kind === 'rejected' ? [outcome.ms] : []));
  const light = outcomes.filter(({ principal }) => principal === 'light');
  return {
    capacity,
    goodput: served / elapsed,
    offered: pending.length / elapsed,
    counts,
    failures: outcomes.flatMap(({ outcome }) => (outcome.kind === 'failed' ? [outcome.what] : [])).slice(0, 5),
    rejectionMs: { p50: quantile(rejectionMs, 0.5), p99: quantile(rejectionMs, 0.99) },
    clientStallMs: stalls.max / 1e6,
    cpuMsPerRequest: (cpuMs - before.cpuMs) / pending.length,
    light: { served: light.filter(({ outcome }) => outcome.kind === 'served').length, asked: light.length },
  };
}

/** Served requests a second with so many clients, each of which asks again as soon as it has its answer. */
async function measureCapacity(
  neuron: SoakedNeuron,
  agent: Agent,
  { clients, seconds }: OverloadOptions,
): Promise<number> {
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1000;
  let served = 0;
  const client = async (index: number) => {
    while (performance.now() < endMs) {
      const { kind } = await ask({ ...common, url: neuron.url, agent, principal: `p${index}` });
      if (kind === 'served' && performance.now() < endMs) served += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  return served / seconds;
}
