import type { CatalogueEntry } from '@helexa/core';
import type { NodeState } from '../fleet/fleet.js';
import type { RouterView } from './view.js';

export interface Retirements {
  /** Models that nobody has asked for in so long that they leave now: at most one for each node. */
  readonly due: readonly { readonly node: NodeState; readonly model: string }[];
  /** When the next one is due if nothing changes; infinite when none will be. */
  readonly nextMs: number;
}

/** A pinned model is there to stay, unless its own entry says how long. */
const ttlOf = (view: RouterView, { idle_ttl_ms: own, pinned_on: pins }: CatalogueEntry): number =>
  own ?? (pins.length > 0 ? 0 : view.idleTtlMs);

/** Which idle models leave without anybody taking their place: only those that the gateway can load again. */
export const findRetirements = (view: RouterView): Retirements => {
  let nextMs = Number.POSITIVE_INFINITY;
  const due: { node: NodeState; model: string }[] = [];
  for (const node of view.fleet) {
    if (!node.healthy || node.kind === 'openai' || view.job(node.name) || view.unsettled(node.name)) continue;
    for (const { id, status } of node.models) {
      const entry = view.catalogue.entries.get(id);
      const ttlMs = entry ? ttlOf(view, entry) : 0;
      const { load, usedMs = 0, loadedMs = 0 } = view.residence(node.name, id);
      if (ttlMs === 0 || status !== 'loaded' || load > 0) continue;
      const dueMs = Math.max(usedMs, loadedMs, view.startedMs) + ttlMs;
      if (dueMs > view.nowMs) nextMs = Math.min(nextMs, dueMs);
      else if (due.at(-1)?.node !== node) due.push({ node, model: id });
    }
  }
  return { due, nextMs };
};
