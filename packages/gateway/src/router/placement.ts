/**
 * Where a model could be loaded, and what would have to leave for it. A node fits at once (`free`), after the eviction of idle
 * models (`evict`), later because what would have to leave is busy or has only just come (`later`), or not while models of
 * higher priority stay (`blocked`).
 */
import type { CatalogueEntry, NeuronModel } from '@helexa/core';
import { residencyPriority } from '../catalogue/catalogue.js';
import type { NodeState } from '../fleet/fleet.js';
import type { RouterView } from './view.js';

export interface Place {
  readonly node: NodeState;
  readonly fit: 'free' | 'evict' | 'later' | 'blocked';
  /** What has to leave, first one first; of a `later` place, what it waits for. */
  readonly victims: readonly string[];
  /** When the last of them may leave, if time alone decides that. */
  readonly untilMs: number | undefined;
  readonly freeMb: number;
  readonly isPinned: boolean;
  /** Where on the node, when it has more devices than the model wants. */
  readonly devices: readonly number[] | undefined;
}

interface Room {
  readonly index: number;
  readonly totalMb: number | undefined;
  readonly freeMb: number | undefined;
}

/** Memory that a model needs in all: as seen, else as declared, else nothing is known and anything fits. */
export const neededMb = (view: RouterView, entry: CatalogueEntry): number =>
  view.seenMb(entry.id) ?? entry.vram_mb ?? 0;

/** Devices of a node by backend: one model never spans two backends. */
const roomsOf = (node: NodeState): readonly (readonly Room[])[] => {
  const groups = new Map<string, Map<number, Room>>();
  const add = (backend: string | undefined, index: number, seen: Partial<Room>): void => {
    const group = groups.get(backend ?? '') ?? new Map<number, Room>();
    groups.set(backend ?? '', group);
    group.set(index, { totalMb: undefined, freeMb: undefined, ...group.get(index), ...seen, index });
  };
  (node.discovery?.devices ?? []).forEach((device, position) => {
    add(device.backend, device.index ?? position, { totalMb: device.vram_total_mb });
  });
  for (const device of node.health?.devices ?? []) {
    add(device.backend, device.index, { freeMb: device.vram_free_mb });
  }
  return [...groups.values()].map((group) => [...group.values()]);
};

/** An entry without any demand on memory: only the neuron can tell whether it fits. */
const asksNothing = (view: RouterView, entry: CatalogueEntry): boolean =>
  neededMb(view, entry) === 0 && entry.min_devices === 1 && entry.min_device_vram_mb === undefined;

/** Whether a node could hold a model if it were empty; undefined while its devices are not known. */
export const couldHold = (view: RouterView, entry: CatalogueEntry, node: NodeState): boolean | undefined => {
  if (node.kind === 'openai') return false;
  if (entry.pinned_on.length > 0 && !entry.pinned_on.includes(node.name)) return false;
  const groups = roomsOf(node);
  if (groups.length === 0) return asksNothing(view, entry) ? true : undefined;
  const share = Math.ceil(neededMb(view, entry) / entry.min_devices);
  const floor = Math.max(share, entry.min_device_vram_mb ?? 0);
  return groups.some(
    (rooms) => rooms.filter(({ totalMb }) => totalMb === undefined || totalMb >= floor).length >= entry.min_devices,
  );
};

const holdsMemory = ({ status }: NeuronModel): boolean => status !== 'unloaded' && status !== 'failed';

/** What each device would gain if a resident left; a resident that does not say where it is may be anywhere. */
const gainOn = (view: RouterView, resident: NeuronModel, index: number): number => {
  const mb = resident.vram_used_mb ?? view.catalogue.entries.get(resident.id)?.vram_mb ?? 0;
  const places = resident.devices?.filter((device): device is number => typeof device === 'number') ?? [];
  if (places.length === 0) return mb;
  return places.includes(index) ? mb / places.length : 0;
};

/** The rooms that the model would take with these residents gone; none where devices are not known, undefined when it does not fit. */
const roomsWithout = (
  view: RouterView,
  entry: CatalogueEntry,
  node: NodeState,
  gone: readonly NeuronModel[],
): readonly Room[] | undefined => {
  const share = Math.ceil(neededMb(view, entry) / entry.min_devices);
  const floor = entry.min_device_vram_mb ?? 0;
  const stay = node.models.filter((model) => holdsMemory(model) && !gone.includes(model));
  // Another load that runs at the node has its memory promised before it shows.
  const promised = view.job(node.name);
  const promisedMb =
    promised?.model !== undefined && promised.model !== entry.id
      ? (view.seenMb(promised.model) ?? view.catalogue.entries.get(promised.model)?.vram_mb ?? 0)
      : 0;
  const groups = roomsOf(node);
  if (groups.length === 0) return asksNothing(view, entry) ? [] : undefined;
  for (const rooms of groups) {
    const fitting = rooms.filter(({ index, totalMb, freeMb }) => {
      if (totalMb !== undefined && totalMb < floor) return false;
      const used = stay.reduce((sum, resident) => sum + gainOn(view, resident, index), 0);
      const gained = gone.reduce((sum, resident) => sum + gainOn(view, resident, index), 0);
      // A reading may be older than the last load: what is known to be there counts too.
      const free = Math.min(
        (freeMb ?? Number.POSITIVE_INFINITY) + gained,
        (totalMb ?? Number.POSITIVE_INFINITY) - used,
      );
      return free - promisedMb >= share;
    });
    if (fitting.length >= entry.min_devices) return fitting.slice(0, entry.min_devices);
  }
  return undefined;
};

const fitsWithout = (...asked: Parameters<typeof roomsWithout>): boolean => roomsWithout(...asked) !== undefined;

/** The devices to name in a load; undefined where the neuron has no choice, or where a number means two devices. */
const devicesFor = (
  view: RouterView,
  entry: CatalogueEntry,
  node: NodeState,
  gone: readonly NeuronModel[],
): readonly number[] | undefined => {
  const groups = roomsOf(node);
  if (groups.length !== 1 || groups[0]?.length === entry.min_devices) return undefined;
  const rooms = roomsWithout(view, entry, node, gone);
  return rooms && rooms.length > 0 ? rooms.map(({ index }) => index) : undefined;
};

const mostFree = (node: NodeState): number =>
  Math.max(0, ...roomsOf(node).flatMap((rooms) => rooms.map(({ freeMb, totalMb }) => freeMb ?? totalMb ?? 0)));

/** The fewest residents, taken in order, without which the model fits; undefined when all of them are not enough. */
const fewest = (
  view: RouterView,
  entry: CatalogueEntry,
  node: NodeState,
  order: readonly NeuronModel[],
): readonly NeuronModel[] | undefined => {
  for (let count = 0; count <= order.length; count++) {
    if (!fitsWithout(view, entry, node, order.slice(0, count))) continue;
    // An earlier one may have been no help: what is not needed stays.
    return order.slice(0, count).reduce<readonly NeuronModel[]>(
      (kept, each) =>
        fitsWithout(
          view,
          entry,
          node,
          kept.filter((other) => other !== each),
        )
          ? kept.filter((other) => other !== each)
          : kept,
      order.slice(0, count),
    );
  }
  return undefined;
};

/** How a model could come to a node that could hold it. */
export const placeOn = (view: RouterView, entry: CatalogueEntry, node: NodeState): Place => {
  const priority = residencyPriority(view.catalogue, entry.id);
  const residence = ({ id }: NeuronModel) => view.residence(node.name, id);
  const protectedUntil = (model: NeuronModel): number => {
    const { loadedMs } = residence(model);
    return loadedMs === undefined ? 0 : loadedMs + view.residencyMs;
  };
  const rankOf = ({ id }: NeuronModel): number => (view.strategy === 'lru' ? 0 : residencyPriority(view.catalogue, id));
  const residents = node.models
    .filter((model) => holdsMemory(model) && model.id !== entry.id)
    .filter(({ id }) => residencyPriority(view.catalogue, id) <= priority)
    .sort(
      (a, b) =>
        rankOf(a) - rankOf(b) || (residence(a).usedMs ?? -1) - (residence(b).usedMs ?? -1) || (a.id < b.id ? -1 : 1),
    );
  const isIdle = (model: NeuronModel): boolean =>
    model.status === 'loaded' && residence(model).load === 0 && protectedUntil(model) <= view.nowMs;
  const place = (fit: Place['fit'], leaving: readonly NeuronModel[]): Place => {
    const untilMs = Math.max(0, ...leaving.map(protectedUntil));
    return {
      node,
      fit,
      victims: leaving.map(({ id }) => id),
      untilMs: untilMs > view.nowMs ? untilMs : undefined,
      freeMb: mostFree(node),
      isPinned: entry.pinned_on.includes(node.name),
      devices: devicesFor(view, entry, node, leaving),
    };
  };
  if (fitsWithout(view, entry, node, [])) return place('free', []);
  const idle = fewest(view, entry, node, residents.filter(isIdle));
  if (idle) return place('evict', idle);
  const later = fewest(view, entry, node, [...residents.filter(isIdle), ...residents.filter((each) => !isIdle(each))]);
  return later ? place('later', later) : place('blocked', []);
};

const ranks = { free: 0, evict: 1, later: 2, blocked: 3 } as const;

/** Best place first: pinned, then the one that disturbs least, then the one with the most room, then the name. */
export const comparePlaces =
  (isTaken: (node: string) => boolean) =>
  (a: Place, b: Place): number =>
    Number(b.isPinned) - Number(a.isPinned) ||
    ranks[a.fit] - ranks[b.fit] ||
    Number(isTaken(a.node.name)) - Number(isTaken(b.node.name)) ||
    b.freeMb - a.freeMb ||
    (a.node.name < b.node.name ? -1 : 1);
