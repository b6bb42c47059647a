/**
 * Sends a neuron many requests, a fifth of which are given up at any moment, then ten times as many as it can serve. Ends with 1
 * when memory grows, something is held at the end, a request hangs or fails, goodput falls or a rejection takes long.
 *
 * The soak of `null` computes nothing: it is about the shell. The overload always runs on it, with steps of a known length.
 *
 * @example npm run soak:neuron -- --requests 100000 --device null
 */
import { parseArgs } from 'node:util';
import { runTool } from './shared/run-tool.js';
import { type OverloadReport, overload } from './soak-neuron/overload.js';
import { mebibytes, type SoakReport, soak } from './soak-neuron/soak.js';
import { SoakedNeuron } from './soak-neuron/soaked-neuron.js';

/** Most that a line fitted to memory after the warm-up may rise. */
const mostRssRiseBytes = 16 * 2 ** 20;
const mostHeapRiseBytes = 2 * 2 ** 20;
const mostRejectionMs = 50;
const leastGoodput = 0.9;

await runTool(async (args) => {
  const { values } = parseArgs({
    args,
    options: {
      requests: { type: 'string', default: '2000' },
      concurrency: { type: 'string', default: '24' },
      aborts: { type: 'string', default: '0.2' },
      seed: { type: 'string', default: '1' },
      device: { type: 'string', default: 'null' },
      seconds: { type: 'string', default: '20' },
      factor: { type: 'string', default: '10' },
    },
  });
  const numbers = [values.requests, values.concurrency, values.aborts, values.seed, values.seconds, values.factor].map(
    Number,
  );
  const [requests, concurrency, abortShare, seed, seconds, factor] = numbers as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (!numbers.every((value) => Number.isFinite(value) && value >= 0)) {
    console.error(
      'Usage: npm run soak:neuron -- [--requests N] [--concurrency N] [--aborts SHARE] [--device null|cpu|reference] [--seconds N] [--factor N] [--seed N]',
    );
    return 2;
  }
  const faults: string[] = [];
  if (requests > 0) {
    const neuron = await SoakedNeuron.start({ device: values.device, stepMs: 0, seats: 8, maxWaitSeconds: 30 });
    try {
      const report = await soak(neuron, {
        requests,
        concurrency,
        abortShare,
        seed,
        onProgress: (line) => console.log(line),
      });
      faults.push(...soakFaults(report));
      console.log(describeSoak(report));
    } finally {
      await neuron.close();
    }
  }
  if (seconds > 0) {
    const seats = 4;
    const neuron = await SoakedNeuron.start({ device: 'null', stepMs: 20, seats, maxWaitSeconds: 2 });
    try {
      const report = await overload(neuron, { clients: seats + 2, seconds, factor });
      faults.push(...overloadFaults(report));
      console.log(describeOverload(report));
    } finally {
      await neuron.close();
    }
  }
  for (const fault of faults) console.error(fault);
  console.log(faults.length === 0 ? 'soaked: nothing is left over' : `soaked: ${faults.length} faults`);
  return faults.length === 0 ? 0 : 1;
});

function soakFaults({ counts, failures, before, after, rssRiseBytes, heapRiseBytes }: SoakReport): string[] {
  const isSame = JSON.stringify(before) === JSON.stringify(after);
  return [
    ...(counts.hung > 0 ? [`${counts.hung} requests hung`] : []),
    ...(counts.failed > 0 ? [`${counts.failed} requests failed: ${failures.join(' | ')}`] : []),
    ...(isSame ? [] : [`before: ${JSON.stringify(before)}, after: ${JSON.stringify(after)}`]),
    ...(rssRiseBytes > mostRssRiseBytes ? [`resident memory rises by ${mebibytes(rssRiseBytes)} MiB`] : []),
    ...(heapRiseBytes > mostHeapRiseBytes ? [`heap rises by ${mebibytes(heapRiseBytes)} MiB`] : []),
  ];
}

function describeSoak({ counts, seconds, after, rssRiseBytes, heapRiseBytes }: SoakReport): string {
  const rises = `resident ${mebibytes(rssRiseBytes)} MiB, heap ${mebibytes(heapRiseBytes)} MiB`;
  return `soak: ${JSON.stringify(counts)} in ${seconds.toFixed(0)} s; fitted rise after warm-up: ${rises}; at the end: ${JSON.stringify(after)}`;
}

function overloadFaults({ counts, failures, capacity, goodput, rejectionMs }: OverloadReport): string[] {
  return [
    ...(counts.hung + counts.failed > 0
      ? [`${counts.hung} requests hung and ${counts.failed} failed under overload: ${failures.join(' | ')}`]
      : []),
    ...(goodput < leastGoodput * capacity ? [`goodput is ${(goodput / capacity).toFixed(2)} of capacity`] : []),
    ...(rejectionMs.p99 > mostRejectionMs ? [`p99 of rejections is ${rejectionMs.p99.toFixed(0)} ms`] : []),
  ];
}

function describeOverload({
  capacity,
  goodput,
  offered,
  counts,
  rejectionMs,
  clientStallMs,
  cpuMsPerRequest,
  light,
}: OverloadReport): string {
  const rates = `capacity ${capacity.toFixed(1)}/s, offered ${offered.toFixed(1)}/s, goodput ${goodput.toFixed(1)}/s`;
  const times = `rejections p50 ${rejectionMs.p50.toFixed(1)} ms, p99 ${rejectionMs.p99.toFixed(1)} ms (longest stall of the client ${clientStallMs.toFixed(0)} ms), ${cpuMsPerRequest.toFixed(2)} ms of processor a request`;
  return `overload: ${rates} (${(goodput / capacity).toFixed(2)}); ${times}; ${JSON.stringify(counts)}; light principal ${light.served} of ${light.asked} served`;
}
