/**
 * What to do with one request, as a value. Nothing here waits, reads a clock or talks to anyone: the broker asks again
 * whenever something has changed.
 */
import { type CatalogueEntry, CortexError, type NeuronModel } from '@helexa/core';
import { modelOn, type NodeState } from '../fleet/fleet.js';
import { refusal } from '../fleet/refusal.js';
import { comparePlaces, couldHold, type Place, placeOn } from './placement.js';
import type { LoadJob, RouterView } from './view.js';

export interface Ask {
  readonly model: string;
  readonly sinceMs: number;
  /** Nodes that this request has already failed at. */
  readonly exclude: ReadonlySet<string>;
  /** The node that has the beginning of this conversation in its cache. */
  readonly preferred: string | undefined;
}

export type Decision =
  | { readonly kind: 'serve'; readonly node: NodeState }
  | {
      readonly kind: 'load';
      readonly node: NodeState;
      readonly entry: CatalogueEntry;
      readonly victims: readonly string[];
      /** Named to the neuron when it has more devices than the model wants. */
      readonly devices: readonly number[] | undefined;
    }
  /** Stop sending new requests to the victims, so that they fall idle. */
  | { readonly kind: 'claim'; readonly node: NodeState; readonly victims: readonly string[] }
  /** Nothing can be done before something changes, or before `untilMs`. */
  | {
      readonly kind: 'wait';
      readonly why: WaitReason;
      readonly untilMs: number | undefined;
      /** Models that are in the way, or that are loaded. */
      readonly behind: readonly string[];
      /** Where that is; absent when it is at several neurons. */
      readonly node?: string;
    }
  | { readonly kind: 'refuse'; readonly error: CortexError };

export type WaitReason = 'loading' | 'node_loading' | 'busy' | 'residency' | 'claimed';

/** A conversation follows its cache until the other node would be this much less busy. */
const affinityWorth = 2;

const loadingStatuses: ReadonlySet<string> = new Set(['loading', 'reloading']);
const comingOrGoing: ReadonlySet<string> = new Set([...loadingStatuses, 'unloading']);

const idOf = ({ id }: NeuronModel): string => id;

/** What loads or evicts at a node, or did so with an end that is not known yet. */
const jobAt = (view: RouterView, node: string): LoadJob | undefined => view.job(node) ?? view.unsettled(node);

const isLeaving = (view: RouterView, node: string, model: string): boolean =>
  jobAt(view, node)?.victims.includes(model) === true || view.claim(node)?.victims.includes(model) === true;

/** A load of this model runs there, or has ended there without a failure that is known. */
const isLoading = (view: RouterView, { name, healthy }: NodeState, model: string): boolean =>
  view.job(name)?.model === model ||
  (healthy && view.unsettled(name)?.model === model && view.setback(name, model) === undefined);

/** The best node that can answer now: sound ones first, then the conversation's own, then the least busy, then the name. */
const chooseLoaded = (view: RouterView, ask: Ask, nodes: readonly NodeState[]): NodeState | undefined => {
  const cost = (node: NodeState): number =>
    view.residence(node.name, ask.model).load - (node.name === ask.preferred ? affinityWorth : 0);
  const doubt = (node: NodeState): number =>
    (node.failures > 0 ? 1 : 0) + (modelOn(node, ask.model)?.servable?.ok === false ? 2 : 0);
  return [...nodes].sort((a, b) => doubt(a) - doubt(b) || cost(a) - cost(b) || (a.name < b.name ? -1 : 1))[0];
};

/** What a place leads to; undefined when it is no use. */
const decideAt = (view: RouterView, ask: Ask, entry: CatalogueEntry, place: Place): Decision | undefined => {
  const { node, fit, victims, untilMs, devices } = place;
  const claim = view.claim(node.name);
  const job = jobAt(view, node.name);
  const wait = (why: WaitReason, until: number | undefined, behind: readonly string[]): Decision => ({
    kind: 'wait',
    why,
    untilMs: until,
    behind,
    node: node.name,
  });
  // What fills the node is decided when its load has ended.
  if (job) return wait('node_loading', undefined, job.model === undefined ? job.victims : [job.model]);
  // Another gateway may be at work there: what comes or goes is not in the way for good.
  const passing = node.models.filter(({ status }) => comingOrGoing.has(status));
  const isFull = fit === 'later' || fit === 'blocked';
  if (isFull && passing.length > 0) return wait('node_loading', undefined, passing.map(idOf));
  // A model that gives way for another fills the place that it wants itself.
  if (claim?.victims.includes(entry.id)) return wait('claimed', undefined, [claim.model]);
  if (fit === 'blocked') return undefined;
  if (claim && claim.model !== entry.id) return wait('claimed', undefined, [claim.model]);
  if (fit !== 'later') return { kind: 'load', node, entry, victims, devices };
  if (untilMs !== undefined) return wait('residency', untilMs, victims);
  const patientUntil = ask.sinceMs + view.patienceMs;
  if (patientUntil > view.nowMs) return wait('busy', patientUntil, victims);
  return claim ? wait('busy', undefined, victims) : { kind: 'claim', node, victims };
};

/** How a model of the catalogue that is nowhere ready can come to be ready. */
const decidePlacement = (view: RouterView, ask: Ask, entry: CatalogueEntry): Decision => {
  const model = entry.id;
  const possible = view.fleet.filter((node) => couldHold(view, entry, node) !== false);
  if (possible.length === 0) {
    return { kind: 'refuse', error: new CortexError('model_unplaceable', { model, reason: whyNever(view, entry) }) };
  }
  const present = possible.filter((node) => node.healthy && couldHold(view, entry, node) === true);
  if (present.length === 0) {
    const error = new CortexError('placement_unavailable', { model, nodes: possible.map(({ name }) => name) });
    return { kind: 'refuse', error };
  }
  const open = present.filter(({ name }) => {
    const setback = view.setback(name, model);
    return !ask.exclude.has(name) && (setback === undefined || setback.untilMs <= view.nowMs);
  });
  const setbacks = present.flatMap(({ name }) => view.setback(name, model) ?? []);
  if (open.length === 0) {
    const refused = setbacks.find(({ error }) => error.code === 'model_load_refused');
    if (refused && setbacks.length === present.length) return { kind: 'refuse', error: refused.error };
    const soonest = setbacks.sort((a, b) => a.untilMs - b.untilMs)[0];
    const reason = soonest ? soonest.error.message : 'every node that can hold it has failed this request';
    const waitMs = soonest ? soonest.untilMs - view.nowMs : 1000;
    const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
    const cause = soonest ? { cause: soonest.error } : {};
    return { kind: 'refuse', error: new CortexError('model_load_failed', { model, reason, retryAfterSeconds }, cause) };
  }
  const places = open.map((node) => placeOn(view, entry, node));
  const isTaken = (node: string): boolean => jobAt(view, node) !== undefined;
  for (const place of places.sort(comparePlaces(isTaken))) {
    const decision = decideAt(view, ask, entry, place);
    if (decision) return decision;
  }
  return {
    kind: 'refuse',
    error: new CortexError('no_room_for_model', { model, nodes: open.map(({ name }) => name) }),
  };
};

const whyNever = (view: RouterView, entry: CatalogueEntry): string => {
  const pinned = entry.pinned_on.filter((name) => view.fleet.some((node) => node.name === name));
  if (entry.pinned_on.length > 0 && pinned.length === 0) {
    return `it is pinned on ${entry.pinned_on.map((name) => `'${name}'`).join(', ')}, and no neuron has such a name`;
  }
  const count = entry.min_devices === 1 ? 'a device' : `${entry.min_devices} devices`;
  const mb = Math.max(
    Math.ceil((view.seenMb(entry.id) ?? entry.vram_mb ?? 0) / entry.min_devices),
    entry.min_device_vram_mb ?? 0,
  );
  return `no neuron has ${count} with ${mb} MiB`;
};

/** Decides about one request, from what is known at this moment. */
export const decide = (view: RouterView, ask: Ask): Decision => {
  const { model } = ask;
  const holders = view.fleet.filter((node) => node.healthy && modelOn(node, model) !== undefined);
  const able = holders.filter(
    (node) =>
      modelOn(node, model)?.status === 'loaded' && !ask.exclude.has(node.name) && !isLeaving(view, node.name, model),
  );
  const entry = view.catalogue.entries.get(model);
  const servable = able.filter((node) => modelOn(node, model)?.servable?.ok !== false);
  // Without a catalogue entry there is no other way than the one that says it cannot.
  const node = chooseLoaded(view, ask, servable.length > 0 || entry ? servable : able);
  if (node) return { kind: 'serve', node };
  const loading = view.fleet.find((each) => isLoading(view, each, model));
  if (loading) return { kind: 'wait', why: 'loading', untilMs: undefined, behind: [model], node: loading.name };
  const statuses = holders.flatMap((each) => modelOn(each, model)?.status ?? []);
  if (statuses.some((status) => loadingStatuses.has(status))) {
    return { kind: 'wait', why: 'loading', untilMs: undefined, behind: [model] };
  }
  if (statuses.includes('recovering')) {
    return {
      kind: 'refuse',
      error: new CortexError('model_not_ready', { model, status: 'recovering', retryAfterSeconds: 2 }),
    };
  }
  if (entry && view.fleet.some(({ healthy }) => healthy)) {
    const decision = decidePlacement(view, ask, entry);
    const last = decision.kind === 'refuse' ? chooseLoaded(view, ask, able) : undefined;
    return last ? { kind: 'serve', node: last } : decision;
  }
  return { kind: 'refuse', error: refusal(view.fleet, model) };
};
