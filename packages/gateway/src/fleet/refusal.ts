import { CortexError } from '@helexa/core';
import { type Fleet, modelOn } from './fleet.js';

const secondsUntilReady = 2;
/** A model in one of these will soon be in another, without anybody's doing. */
const passingStatuses: ReadonlySet<string> = new Set(['loading', 'recovering', 'reloading', 'unloading']);

/** Why no node can answer for a model, most hopeful reason first. */
export const refusal = (fleet: Fleet, model: string): CortexError => {
  const holders = fleet.filter((node) => modelOn(node, model));
  const names = (nodes: Fleet): string[] => nodes.map(({ name }) => name);
  const present = holders.filter(({ healthy }) => healthy);
  const entries = present.flatMap((node) => modelOn(node, model) ?? []);
  const passing = entries.find(({ status }) => passingStatuses.has(status));
  if (passing) {
    return new CortexError('model_not_ready', { model, status: passing.status, retryAfterSeconds: secondsUntilReady });
  }
  const broken = entries.find(({ status }) => status !== 'unloaded');
  if (broken) {
    const code = broken.error ? ` (${broken.error.code})` : '';
    return new CortexError('model_failed', { model, reason: `its status is '${broken.status}'${code}` });
  }
  if (present.length > 0) return new CortexError('model_not_loaded', { model, nodes: names(present) });
  if (holders.length > 0) return new CortexError('model_unreachable', { model, nodes: names(holders) });
  if (!fleet.some(({ healthy }) => healthy)) return new CortexError('no_healthy_node', { nodes: fleet.length });
  const available = fleet.flatMap(({ healthy, models }) =>
    healthy ? models.filter((each) => each.status === 'loaded').map(({ id }) => id) : [],
  );
  return new CortexError('model_not_found', { model, available: [...new Set(available)].sort() });
};
