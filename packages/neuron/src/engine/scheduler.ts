/**
 * The scheduler: which rows make up the next step. Pure: state in, decision out.
 */

/** What the scheduler knows of a running sequence. */
export interface RunningView {
  readonly id: number;
  /** Tokens whose keys and values are in the cache. */
  readonly computed: number;
  /** Tokens known so far: prompt and output. */
  readonly length: number;
  /** Token count that a chunk must not go beyond, when there is one ahead. */
  readonly cutAt?: number | undefined;
  /** Its reader is behind: it keeps its place and gets no rows. */
  readonly paused: boolean;
  /** Number of the step that last had rows of it; -1 before the first. */
  readonly servedAt: number;
}

/** Rows of one sequence in a step. */
export interface BatchEntry {
  readonly id: number;
  readonly start: number;
  readonly rows: number;
  /** The last row is sampled: everything known is then computed. */
  readonly sample: boolean;
}

export interface StepBudget {
  readonly maxRows: number;
  readonly maxSequences: number;
  readonly maxSampled: number;
}

/**
 * Chooses the rows of the next step: one row for every sequence that decodes, then prompt chunks in what is left.
 *
 * When there are more sequences than room, those served longest ago come first, so nobody starves. Prompt chunks share the
 * room equally; a chunk that does not finish its prompt is cut to a multiple of `chunkUnit` when it is at least one unit.
 */
export function planStep(running: readonly RunningView[], budget: StepBudget, chunkUnit = 64): BatchEntry[] {
  const ready = running.filter((view) => !view.paused && view.length > view.computed);
  const byAge = ready.toSorted((a, b) => a.servedAt - b.servedAt || a.id - b.id);
  const entries: BatchEntry[] = [];
  let rows = budget.maxRows;
  let samples = budget.maxSampled;
  const places = () => budget.maxSequences - entries.length;

  for (const view of byAge) {
    if (view.length - view.computed !== 1 || rows === 0 || samples === 0 || places() === 0) continue;
    entries.push({ id: view.id, start: view.computed, rows: 1, sample: true });
    rows -= 1;
    samples -= 1;
  }

  let prompts = byAge.filter((view) => view.length - view.computed > 1).slice(0, Math.max(0, places()));
  // More prompts than rows: the youngest wait for a later step.
  prompts = prompts.slice(0, rows);
  const shares = shareRows(
    prompts.map((view) => (view.cutAt ?? view.length) - view.computed),
    rows,
    chunkUnit,
  );
  prompts.forEach((view, index) => {
    const share = shares[index]!;
    const isLast = share === view.length - view.computed;
    if (share === 0) return;
    if (isLast && samples === 0) {
      // Its last row would need a sample that has no room: leave that row for the next step.
      if (share > 1) entries.push({ id: view.id, start: view.computed, rows: share - 1, sample: false });
      return;
    }
    entries.push({ id: view.id, start: view.computed, rows: share, sample: isLast });
    if (isLast) samples -= 1;
  });
  return entries;
}

/** Divides `rows` among prompts that want `wants` rows each: equal shares, what one does not need goes to the others. */
function shareRows(wants: readonly number[], rows: number, unit: number): number[] {
  const shares = wants.map(() => 0);
  let left = rows;
  let open = wants.map((_, index) => index);
  while (left > 0 && open.length > 0) {
    const even = Math.max(1, Math.floor(left / open.length));
    for (const index of open) {
      const give = Math.min(even, wants[index]! - shares[index]!, left);
      shares[index] = shares[index]! + give;
      left -= give;
    }
    open = open.filter((index) => shares[index]! < wants[index]!);
  }
  return shares.map((share, index) => {
    const isCut = share < wants[index]!;
    return isCut && share >= unit ? share - (share % unit) : share;
  });
}
