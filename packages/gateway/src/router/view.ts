import type { CortexError } from '@helexa/core';
import type { Catalogue } from '../catalogue/catalogue.js';
import type { Fleet } from '../fleet/fleet.js';

/** A load under way at a node: at most one for each node, so that loads and evictions there never cross. */
export interface LoadJob {
  readonly node: string;
  /** Absent when its victims leave for nobody. */
  readonly model: string | undefined;
  /** Models that leave the node for it; nothing is sent to them any more. */
  readonly victims: readonly string[];
  readonly startedMs: number;
}

/** Models of a node that take no new requests, so that one that has waited long gets its turn. */
export interface Claim {
  readonly model: string;
  readonly victims: readonly string[];
}

/** What the gateway remembers of a model on a node. */
export interface Residence {
  /** Requests under way there, of this gateway and of others. */
  readonly load: number;
  /** Absent when it was never used through this gateway. */
  readonly usedMs: number | undefined;
  /** Absent when it was there before this gateway was. */
  readonly loadedMs: number | undefined;
}

/** A load of this model on this node failed: it is not tried again before `untilMs`. */
export interface Setback {
  readonly untilMs: number;
  readonly error: CortexError;
}

/** Which idle model leaves first: the one of the lowest priority and of these the one used longest ago, or only the latter. */
export type EvictionStrategy = 'priority' | 'lru';

/** Everything that a decision may depend on: plain values. */
export interface RouterView {
  readonly fleet: Fleet;
  readonly catalogue: Catalogue;
  readonly nowMs: number;
  readonly residence: (node: string, model: string) => Residence;
  readonly job: (node: string) => LoadJob | undefined;
  /** A job that has ended at a node that was not heard of since: what it left there is not known. */
  readonly unsettled: (node: string) => LoadJob | undefined;
  readonly claim: (node: string) => Claim | undefined;
  readonly setback: (node: string, model: string) => Setback | undefined;
  /** Memory that a model was seen to need; wins over what the catalogue declares. */
  readonly seenMb: (model: string) => number | undefined;
  readonly residencyMs: number;
  readonly patienceMs: number;
  readonly strategy: EvictionStrategy;
  /** A model that nobody has asked for in so long leaves; 0 is never. */
  readonly idleTtlMs: number;
  /** When this gateway began. */
  readonly startedMs: number;
}
