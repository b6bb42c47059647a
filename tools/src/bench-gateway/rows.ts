import { readFileSync } from 'node:fs';
import { median } from '../bench-cpu/statistics.js';
import { LoadConnection } from './load-connection.js';
import { cpuUsOf, type PinnedProcess, residentBytesOf } from './pinned-process.js';
import { largeBody, requestBytes, smallBody, streamBytes } from './workload.js';

/** One way to the upstream; the direct one has no process of its own. */
export interface Side {
  readonly name: 'direct' | 'nginx' | 'bare' | 'gateway';
  readonly url: string;
  readonly process?: PinnedProcess;
}

export interface Figure {
  readonly what: string;
  readonly unit: 'us' | 'us CPU' | 'KB' | '';
  readonly gateway: number;
  /** Of nginx in the same run; absent without one, and where it has no such thing. */
  readonly nginx?: number | undefined;
  /** Of a relay of `node:http` and `undici` that does nothing else. */
  readonly bare?: number | undefined;
  readonly goal?: number;
  readonly note?: string;
}

export type Row = (sides: readonly Side[]) => Promise<readonly Figure[]>;

const hostOf = ({ url }: Side): string => new URL(url).host;
const sideOf = (sides: readonly Side[], name: Side['name']): Side | undefined =>
  sides.find((side) => side.name === name);

/** Requests one after the other on each of so many connections, for a while. */
const closedLoop = async (side: Side, body: Buffer, connections: number, seconds: number) => {
  const request = requestBytes(hostOf(side), body);
  const open = await Promise.all(Array.from({ length: connections }, () => LoadConnection.open(side.url)));
  for (const connection of open) await connection.exchange(request);
  const cpuUs = side.process ? cpuUsOf(side.process.pid) : 0;
  const endsAt = performance.now() + seconds * 1000;
  const times: number[] = [];
  await Promise.all(
    open.map(async (connection) => {
      while (performance.now() < endsAt) times.push(await connection.exchange(request));
    }),
  );
  const usedUs = side.process ? cpuUsOf(side.process.pid) - cpuUs : 0;
  for (const connection of open) connection.close();
  return { times, cpuUs: usedUs };
};

const warmUpSeconds = 4;

interface Slices {
  readonly p50Us: number[];
  requests: number;
  cpuUs: number;
}

/** The sides take turns; a side's added time is that over the direct way of the same round. */
const inTurn = async (sides: readonly Side[], body: Buffer, connections: number, rounds: number, seconds: number) => {
  const taken = new Map<Side['name'], Slices>(sides.map(({ name }) => [name, { p50Us: [], requests: 0, cpuUs: 0 }]));
  // A proxy that compiles itself is warm after some thousands of requests.
  for (const side of sides) await closedLoop(side, body, Math.max(16, connections), warmUpSeconds);
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
      const { times, cpuUs } = await closedLoop(side, body, connections, seconds);
      const slices = taken.get(side.name) as Slices;
      slices.p50Us.push(median(times) * 1000);
      slices.requests += times.length;
      slices.cpuUs += cpuUs;
    }
  }
  const addedUs = (name: Side['name']): number | undefined => {
    const [own, direct] = [taken.get(name), taken.get('direct')];
    return own && direct && median(own.p50Us.map((value, round) => value - (direct.p50Us[round] ?? 0)));
  };
  const cpuUs = (name: Side['name']): number | undefined => {
    const own = taken.get(name);
    return own && own.cpuUs / own.requests;
  };
  return { addedUs, cpuUs, requests: taken.get('gateway')?.requests ?? 0 };
};

const small: Row = async (sides) => {
  const { addedUs, cpuUs, requests } = await inTurn(sides, smallBody, 1, 8, 0.8);
  const note = `${requests} requests`;
  return [
    {
      what: '0.85 KB chat, 1 at a time: added p50',
      unit: 'us',
      gateway: addedUs('gateway') ?? 0,
      nginx: addedUs('nginx'),
      bare: addedUs('bare'),
      goal: 150,
      note,
    },
    {
      what: '0.85 KB chat, 1 at a time: per request',
      unit: 'us CPU',
      gateway: cpuUs('gateway') ?? 0,
      nginx: cpuUs('nginx'),
      bare: cpuUs('bare'),
      note,
    },
  ];
};

const busy: Row = async (sides) => {
  const proxies = sides.filter(({ name }) => name !== 'direct');
  const { cpuUs, requests } = await inTurn(proxies, smallBody, 64, 4, 2);
  return [
    {
      what: '0.85 KB chat, 64 at a time: per request',
      unit: 'us CPU',
      gateway: cpuUs('gateway') ?? 0,
      nginx: cpuUs('nginx'),
      bare: cpuUs('bare'),
      goal: 120,
      note: `${requests} requests`,
    },
  ];
};

const large: Row = async (sides) => {
  const { addedUs, cpuUs, requests } = await inTurn(sides, largeBody, 1, 8, 0.8);
  const note = `${requests} requests`;
  return [
    {
      what: '250 KB chat, 1 at a time: added p50',
      unit: 'us',
      gateway: addedUs('gateway') ?? 0,
      nginx: addedUs('nginx'),
      bare: addedUs('bare'),
      goal: 600,
      note,
    },
    {
      what: '250 KB chat, 1 at a time: per request',
      unit: 'us CPU',
      gateway: cpuUs('gateway') ?? 0,
      nginx: cpuUs('nginx'),
      bare: cpuUs('bare'),
      goal: 500,
      note,
    },
  ];
};

const streams = 100;
const chunksPerStream = 300;
const warmUpChunks = 100;
const intervalMs = 20;

/** Streams side by side; reads that brought more than one event, over all reads with one. */
const relayOnce = async (
  side: Side,
  chunks: number,
): Promise<{ readonly cpuUs: number; readonly events: number; readonly merged: number }> => {
  const request = streamBytes(hostOf(side), chunks, intervalMs);
  const open: LoadConnection[] = [];
  const ends: Promise<void>[] = [];
  let [events, merged, atFirst] = [0, 0, 0];
  const before = side.process ? cpuUsOf(side.process.pid) : 0;
  for (let index = 0; index < streams; index++) {
    const connection = await LoadConnection.open(side.url);
    open.push(connection);
    ends.push(
      new Promise((resolve, reject) => {
        connection
          .stream(request, (count, isLast) => {
            events += count;
            if (isLast) resolve();
            else if (count > 1) merged += count - 1;
          })
          .catch(reject);
      }),
    );
    atFirst += 1;
    // Streams begin all over an interval, as those of a fleet do.
    if (atFirst % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(ends);
  const cpuUs = side.process ? cpuUsOf(side.process.pid) - before : 0;
  for (const connection of open) connection.close();
  return { cpuUs, events, merged };
};

const relay: Row = async (sides) => {
  const measured = new Map<Side['name'], Awaited<ReturnType<typeof relayOnce>>>();
  for (const side of sides) {
    // As for requests: what is measured is a proxy that has compiled itself.
    if (side.process) await relayOnce(side, warmUpChunks);
    measured.set(side.name, await relayOnce(side, chunksPerStream));
  }
  const [alone, other, bare, own] = (['direct', 'nginx', 'bare', 'gateway'] as const).map((name) => measured.get(name));
  const percent = (part: { readonly merged: number; readonly events: number } | undefined): number | undefined =>
    part && (100 * part.merged) / part.events;
  return [
    {
      what: `${streams} streams of ${1000 / intervalMs} chunks/s: per chunk`,
      unit: 'us CPU',
      gateway: own ? own.cpuUs / own.events : Number.NaN,
      nginx: other && other.cpuUs / other.events,
      bare: bare && bare.cpuUs / bare.events,
      goal: 20,
      note: `${own?.events ?? 0} chunks, the neuron's checkpoints taken out of the gateway's; of the chunks came together with the one before: direct ${percent(alone)?.toFixed(1)} %, nginx ${percent(other)?.toFixed(1) ?? '-'} %, bare relay ${percent(bare)?.toFixed(1) ?? '-'} %, gateway ${percent(own)?.toFixed(1)} %`,
    },
  ];
};

const wantedStreams = 10_000;
/** Descriptors beside those of the streams. */
const spareDescriptors = 400;

const descriptorLimit = (): number =>
  Number(/^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? 0);

const open: Row = async (sides) => {
  const side = sideOf(sides, 'gateway');
  if (!side?.process) return [];
  // A stream is two descriptors of the gateway.
  const count = Math.min(wantedStreams, Math.floor((descriptorLimit() - spareDescriptors) / 2));
  const request = streamBytes(hostOf(side), 0, 0);
  const { pid } = side.process;
  await side.process.ask('collect');
  const before = residentBytesOf(pid);
  const opened: LoadConnection[] = [];
  while (opened.length < count) {
    const batch = await Promise.all(
      Array.from({ length: Math.min(50, count - opened.length) }, () => LoadConnection.open(side.url)),
    );
    opened.push(...batch);
    await Promise.all(batch.map((connection) => connection.stream(request, () => {})));
  }
  const { heapBytes } = await side.process.ask<{ heapBytes: number }>('collect');
  const perStream = (residentBytesOf(pid) - before) / count / 1000;
  for (const connection of opened) connection.close();
  const lacking =
    count < wantedStreams
      ? `; ${wantedStreams} need a higher limit of open files (ulimit -Hn ${descriptorLimit()})`
      : '';
  return [
    {
      what: `${count} open streams: resident memory of each`,
      unit: 'KB',
      gateway: perStream,
      goal: 20,
      note: `heap ${(heapBytes / 1e6).toFixed(0)} MB after a collection${lacking}`,
    },
  ];
};

export const rows: Readonly<Record<string, Row>> = { small, busy, large, relay, open };
