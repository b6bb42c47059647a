/**
 * What the gateway knows about its neurons: plain values, changed only by `applyLook`. Nothing here waits, reads a clock or
 * talks to anyone.
 */
import { type NeuronDiscovery, type NeuronHealth, type NeuronModel, processOfEpoch } from '@helexa/core';
import { baseOf } from './base-of.js';

/** What one look at a neuron found. */
export type Look =
  | {
      readonly ok: true;
      readonly models: readonly NeuronModel[];
      /** What the list is of; absent when the neuron counts none. */
      readonly epoch?: string | undefined;
      /** Absent when that route failed: what was known stays. */
      readonly health?: NeuronHealth | undefined;
      readonly discovery?: NeuronDiscovery | undefined;
    }
  | { readonly ok: false; readonly reason: string };

export interface NodeState {
  readonly name: string;
  readonly endpoint: string;
  /** `openai` is a server of another make: what it offers counts as loaded, and nothing is loaded or evicted there. */
  readonly kind: 'neuron' | 'openai';
  /** What the configuration says that a server of another make offers; it is asked when empty. */
  readonly offers: readonly NeuronModel[];
  /** Answers, or did so until fewer than three looks ago. */
  readonly healthy: boolean;
  /** Looks that failed in a row. */
  readonly failures: number;
  /** Last known, also of a node that is down. */
  readonly models: readonly NeuronModel[];
  /** What that list was of: a change that is asked for because of it is refused when another gateway was faster. */
  readonly epoch: string | undefined;
  readonly health: NeuronHealth | undefined;
  readonly discovery: NeuronDiscovery | undefined;
  /** Why the last look failed. */
  readonly reason: string | undefined;
}

/** Nodes in the order of their names. */
export type Fleet = readonly NodeState[];

/** A single lost answer is no outage: a node is down after this many. */
export const failuresUntilDown = 3;

export const createFleet = (
  neurons: readonly {
    readonly name: string;
    readonly endpoint: string;
    readonly kind?: NodeState['kind'] | undefined;
    readonly models?: readonly Omit<NeuronModel, 'status'>[] | undefined;
  }[],
): Fleet =>
  [...neurons]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, endpoint, kind = 'neuron', models = [] }) => ({
      name,
      endpoint: baseOf(endpoint).base,
      kind,
      offers: models.map((model) => ({ ...model, status: 'loaded' })),
      healthy: false,
      failures: 0,
      models: [],
      epoch: undefined,
      health: undefined,
      discovery: undefined,
      reason: 'it was not looked at yet',
    }));

type Witness = Pick<NodeState, 'epoch' | 'health'>;

/** A neuron of another process, or one that counts less time than before, was started anew, maybe on other devices. */
export const hasRestarted = (before: Witness, now: Partial<Witness>): boolean =>
  before.epoch !== undefined && now.epoch !== undefined
    ? processOfEpoch(before.epoch) !== processOfEpoch(now.epoch)
    : before.health !== undefined && now.health !== undefined && now.health.uptime_secs < before.health.uptime_secs;

/** The state of a node after a look. */
export const applyLook = (node: NodeState, look: Look): NodeState => {
  if (!look.ok) {
    const failures = node.failures + 1;
    return { ...node, failures, healthy: node.healthy && failures < failuresUntilDown, reason: look.reason };
  }
  const known = hasRestarted(node, look) ? undefined : node.discovery;
  return {
    ...node,
    healthy: true,
    failures: 0,
    models: look.models,
    epoch: look.epoch,
    health: look.health ?? node.health,
    discovery: look.discovery ?? known,
    reason: undefined,
  };
};

/** The fleet after a look at one node. */
export const applyLookTo = (fleet: Fleet, name: string, look: Look): Fleet =>
  fleet.map((node) => (node.name === name ? applyLook(node, look) : node));

/** The entry of a model on a node. */
export const modelOn = (node: NodeState, model: string): NeuronModel | undefined =>
  node.models.find(({ id }) => id === model);
