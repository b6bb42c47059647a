import { modelOn } from '../fleet/fleet.js';
import type { LoadHistory, LoadWanted } from './load-history.js';
import type { Decision } from './router.js';
import type { LoadJob, RouterView } from './view.js';

/** Memory that a model takes, as seen or else as declared; undefined when neither is known. */
const sizeOf = (view: RouterView, model: string): number | undefined =>
  view.seenMb(model) ?? view.catalogue.entries.get(model)?.vram_mb;

/**
 * Milliseconds until a model is likely to be ready, as past loads on the same node went, and no less than what a neuron says of
 * the load under way; 0 when it is ready, null when it never is. How long requests in the way still run is not in it.
 */
export const forecastMs = (
  view: RouterView,
  history: Pick<LoadHistory, 'expectedMs' | 'remainingMs'>,
  model: string,
  decision: Decision,
): number | null => {
  if (decision.kind === 'serve') return 0;
  if (decision.kind === 'refuse') return null;
  const node = typeof decision.node === 'string' ? decision.node : decision.node?.name;
  const wanted = (id: string): LoadWanted => ({ model: id, node, mb: sizeOf(view, id) });
  const job = node === undefined ? undefined : view.job(node);
  const remainingMs = ({ model: id, startedMs }: LoadJob): number =>
    id === undefined ? 0 : history.remainingMs(wanted(id), view.nowMs - startedMs);
  const told = view.fleet
    .filter(({ name }) => node === undefined || name === node)
    .flatMap((each) => modelOn(each, model)?.progress?.eta_seconds ?? []);
  const toldMs = told.length > 0 ? Math.min(...told) * 1000 : 0;
  if (job?.model === model) return Math.max(remainingMs(job), toldMs);
  if (told.length > 0) return toldMs;
  const restMs = decision.kind === 'wait' ? Math.max(0, (decision.untilMs ?? 0) - view.nowMs) : 0;
  const claim = node === undefined ? undefined : view.claim(node);
  const claimMs = claim && claim.model !== model ? history.expectedMs(wanted(claim.model)) : 0;
  return restMs + (job ? remainingMs(job) : claimMs) + history.expectedMs(wanted(model));
};
