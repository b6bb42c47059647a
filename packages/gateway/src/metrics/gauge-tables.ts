import { readdirSync } from 'node:fs';
import type { NeuronHealth } from '@helexa/core';
import { type Fleet, modelOn, type NodeState } from '../fleet/fleet.js';

/** What is read when the metrics are asked for: what is gone leaves no stale value. */
export interface GaugeSources {
  readonly fleet: () => Fleet;
  /** Requests that a node is answering for this gateway. */
  readonly inFlight: (node: string) => number;
  /** Requests that wait for their model. */
  readonly waiting: () => number;
  /** Whether the store of what keys have used answers. */
  readonly ledger: () => boolean;
}

export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

export interface GaugeRow {
  readonly name: string;
  readonly help: string;
  /** A number that somebody else counts, and that only grows. */
  readonly isCounter?: boolean;
  readonly labels: readonly string[];
  readonly read: (sources: GaugeSources) => readonly Sample[];
}

const perNode = ['node'] as const;
const perModel = ['node', 'model'] as const;
const perDevice = ['node', 'backend', 'device'] as const;
const bytesPerMb = 2 ** 20;

const perHealthyNode =
  (samples: (node: NodeState) => readonly Sample[]): GaugeRow['read'] =>
  ({ fleet }) =>
    fleet()
      .filter(({ healthy }) => healthy)
      .flatMap(samples);

type ModelLoad = NonNullable<NeuronHealth['models']>[number];
type Device = NonNullable<NeuronHealth['devices']>[number];

/** A number of a neuron's answer; zero means unknown where a row says so. */
const numberIn = (value: unknown, scale: number, isZeroUnknown: boolean): readonly number[] =>
  typeof value !== 'number' || (isZeroUnknown && value === 0) ? [] : [value * scale];

interface Reading {
  readonly field: string;
  readonly name: string;
  readonly help: string;
  readonly scale?: number;
  readonly isZeroUnknown?: boolean;
}

const ofModels = ({ field, name, help, scale = 1, isZeroUnknown = false }: Reading): GaugeRow => ({
  name: `cortex_model_${name}`,
  help,
  labels: perModel,
  read: perHealthyNode(({ name: node, health }) =>
    (health?.models ?? []).flatMap((load: ModelLoad) =>
      numberIn(load[field], scale, isZeroUnknown).map((value): Sample => [{ node, model: load.id }, value]),
    ),
  ),
});

const ofDevices = ({ field, name, help, scale = 1 }: Reading): GaugeRow => ({
  name: `cortex_device_${name}`,
  help,
  labels: perDevice,
  read: perHealthyNode(({ name: node, health }) =>
    (health?.devices ?? []).flatMap((device: Device) =>
      numberIn(device[field], scale, false).map(
        (value): Sample => [{ node, backend: device.backend ?? '', device: String(device.index) }, value],
      ),
    ),
  ),
});

/** Why a neuron turned requests away, as it counts them since the model was loaded. */
const rejectionPrefix = 'rejected_';

const openFiles = (): readonly number[] => {
  try {
    return [readdirSync('/proc/self/fd').length];
  } catch {
    // Only Linux tells.
    return [];
  }
};

const isLoaded = (node: NodeState, id: string): number => (modelOn(node, id)?.status === 'loaded' ? 1 : 0);

export const gaugeRows: readonly GaugeRow[] = [
  {
    name: 'cortex_waiting_requests',
    help: 'Requests that wait for their model to be loaded.',
    labels: [],
    read: ({ waiting }) => [[{}, waiting()]],
  },
  {
    name: 'cortex_ledger_reachable',
    help: '1 while what keys use can be noted, else 0.',
    labels: [],
    read: ({ ledger }) => [[{}, ledger() ? 1 : 0]],
  },
  {
    name: 'cortex_node_requests_in_flight',
    help: 'Requests that a node is answering for this gateway.',
    labels: perNode,
    read: ({ fleet, inFlight }) => fleet().map(({ name }) => [{ node: name }, inFlight(name)]),
  },
  {
    name: 'cortex_node_healthy',
    help: '1 while a node answers, else 0.',
    labels: perNode,
    read: ({ fleet }) => fleet().map(({ name, healthy }) => [{ node: name }, healthy ? 1 : 0]),
  },
  {
    name: 'cortex_model_loaded',
    help: '1 for a model that a healthy node has loaded, 0 for one that it only has.',
    labels: perModel,
    read: perHealthyNode((node) =>
      node.models.map(({ id }): Sample => [{ node: node.name, model: id }, isLoaded(node, id)]),
    ),
  },
  {
    name: 'cortex_model_unservable',
    help: '1 for a model that is loaded and cannot serve, as its node says.',
    labels: perModel,
    read: perHealthyNode((node) =>
      node.models
        .filter(({ status, servable }) => status === 'loaded' && servable !== undefined)
        .map(({ id, servable }): Sample => [{ node: node.name, model: id }, servable?.ok ? 0 : 1]),
    ),
  },
  ofModels({ field: 'in_flight', name: 'in_flight', help: 'Sequences that a model is generating.' }),
  ofModels({ field: 'queue_depth', name: 'queue_depth', help: 'Requests that wait for a model at its node.' }),
  ofModels({
    field: 'max_in_flight',
    name: 'max_in_flight',
    help: 'Most sequences that a model generates at once.',
    isZeroUnknown: true,
  }),
  ofModels({
    field: 'max_queue_depth',
    name: 'max_queue_depth',
    help: 'Most requests that may wait for a model.',
    isZeroUnknown: true,
  }),
  ofModels({ field: 'anon_in_flight', name: 'anon_in_flight', help: 'Sequences of callers without a principal.' }),
  ofModels({
    field: 'anon_max_in_flight',
    name: 'anon_max_in_flight',
    help: 'Most sequences of callers without a principal.',
    isZeroUnknown: true,
  }),
  ofModels({
    field: 'tok_s_prefill',
    name: 'prefill_tokens_per_second',
    help: 'Prompt tokens that a model computes in a second.',
    isZeroUnknown: true,
  }),
  ofModels({
    field: 'tok_s_decode',
    name: 'decode_tokens_per_second',
    help: 'Tokens that one sequence of a model gets in a second.',
    isZeroUnknown: true,
  }),
  ofModels({
    field: 'kv_budget_mb',
    name: 'kv_budget_bytes',
    help: 'Size of the key-value cache of a model.',
    scale: bytesPerMb,
  }),
  ofModels({
    field: 'kv_available_mb',
    name: 'kv_available_bytes',
    help: 'Room left in the key-value cache of a model.',
    scale: bytesPerMb,
  }),
  {
    name: 'cortex_model_rejections_total',
    help: 'Requests that a neuron turned away since the model was loaded, by reason.',
    isCounter: true,
    labels: ['node', 'model', 'reason'],
    read: perHealthyNode(({ name: node, health }) =>
      (health?.models ?? []).flatMap((load: ModelLoad) =>
        Object.entries(load).flatMap(([field, value]): readonly Sample[] =>
          field.startsWith(rejectionPrefix) && typeof value === 'number'
            ? [[{ node, model: load.id, reason: field.slice(rejectionPrefix.length) }, value]]
            : [],
        ),
      ),
    ),
  },
  ofDevices({
    field: 'vram_used_mb',
    name: 'vram_used_bytes',
    help: 'Memory of a device that is in use.',
    scale: bytesPerMb,
  }),
  ofDevices({
    field: 'vram_free_mb',
    name: 'vram_free_bytes',
    help: 'Memory of a device that is free.',
    scale: bytesPerMb,
  }),
  ofDevices({ field: 'utilization_pct', name: 'utilization_percent', help: 'How busy a device is.' }),
  ofDevices({ field: 'temp_c', name: 'temperature_celsius', help: 'Temperature of a device.' }),
  {
    name: 'process_resident_memory_bytes',
    help: 'Memory of the gateway.',
    labels: [],
    read: () => [[{}, process.memoryUsage.rss()]],
  },
  {
    name: 'process_cpu_seconds_total',
    help: 'Time that the gateway has computed.',
    isCounter: true,
    labels: [],
    read: () => {
      const { user, system } = process.cpuUsage();
      return [[{}, (user + system) / 1e6]];
    },
  },
  {
    name: 'process_open_fds',
    help: 'Files and connections that the gateway has open.',
    labels: [],
    read: () => openFiles().map((count): Sample => [{}, count]),
  },
];
