import { CortexError } from '@helexa/core';
import type { Cut, Segment, WeightRow, WeightsTable } from './weights.js';

/**
 * What one rank holds of a weight: pure arithmetic over the cuts of a table. Every other file asks here, so the loader, the
 * shard pass and the memory estimate cannot disagree.
 */

/** A contiguous run of indices. */
export interface Run {
  readonly start: number;
  readonly count: number;
}

/** Which of `ranks` a part belongs to. */
export interface Part {
  readonly rank: number;
  readonly ranks: number;
}

/** How a cut divides over a number of ranks, or the two halves of the sentence why not. */
export type Division =
  | { readonly kind: 'even' | 'repeated' | 'uneven' }
  | { readonly refuse: { readonly have: string; readonly want: string } };

/** How `cut` divides its own units over `ranks`. */
export function divideCut(cut: Cut, ranks: number): Division {
  if (cut.count % ranks === 0) return { kind: 'even' };
  if (cut.uneven && ranks <= cut.count) return { kind: 'uneven' };
  if (cut.repeats && ranks % cut.count === 0) return { kind: 'repeated' };
  const want = cut.repeats ? `divide or be a multiple of ${cut.count}` : `divide ${cut.count}`;
  return { refuse: { have: `${cut.count} ${cut.unit}`, want: `the rank count must ${want}` } };
}

/** Units of `count` that a rank holds. With repeats, consecutive ranks hold the same unit. */
export function shareOf(count: number, { rank, ranks }: Part): Run {
  if (count < ranks) return { start: Math.floor((rank * count) / ranks), count: 1 };
  const start = Math.ceil((rank * count) / ranks);
  return { start, count: Math.ceil(((rank + 1) * count) / ranks) - start };
}

/** The runs of a segment's rows that a rank holds, in order: one for each outer group. */
export function rowRuns(row: WeightRow, segment: Segment, part: Part): readonly Run[] {
  if (row.cut?.axis !== 'rows') return [{ start: 0, count: segment.rows }];
  const outer = segment.outer ?? 1;
  return groupRuns(segment.rows, outer, segment.units ?? row.cut.cut.count, part);
}

/** The runs of a row's columns that a rank holds, in order. Columns are never repeated: every one is added exactly once. */
export function columnRuns(row: WeightRow, part: Part): readonly Run[] {
  const cols = row.cols ?? 1;
  if (row.cut?.axis !== 'cols') return [{ start: 0, count: cols }];
  const outer = row.cut.outer ?? 1;
  const { count } = row.cut.cut;
  return groupRuns(cols, outer, count < part.ranks ? part.ranks : count, part);
}

function groupRuns(total: number, outer: number, units: number, part: Part): readonly Run[] {
  const group = total / outer;
  const unit = group / units;
  const share = shareOf(units, part);
  return Array.from({ length: outer }, (_, index) => ({
    start: index * group + share.start * unit,
    count: share.count * unit,
  }));
}

export const lengthOf = (runs: readonly Run[]): number => runs.reduce((sum, run) => sum + run.count, 0);

/** Why something does not divide over a number of ranks. */
export interface DivisionProblem {
  readonly slot: string;
  readonly have: string;
  readonly want: string;
}

/** Refuses a rank count that has a problem, naming the slot and the rank counts that have none. */
export function checkDivision(ranks: number, problemOf: (ranks: number) => DivisionProblem | null): void {
  const problem = problemOf(ranks);
  if (!problem) return;
  const works = Array.from({ length: Math.max(ranks, 8) }, (_, index) => index + 1).filter(
    (candidate) => problemOf(candidate) === null,
  );
  throw new CortexError('cannot_shard', { ...problem, ranks, works });
}

/** The first row of a table that does not divide over `ranks`. */
export function findDivisionProblem(table: WeightsTable, ranks: number): DivisionProblem | null {
  for (const row of table.rows) {
    if (row.cut === null) continue;
    const { cut, axis } = row.cut;
    const slot = row.layers === undefined ? row.slot : `layers.${row.layers[0]}.${row.slot}`;
    const division = divideCut(cut, ranks);
    if ('refuse' in division) return { slot, ...division.refuse };
    if (axis === 'cols') {
      const group = (row.cols ?? 1) / (row.cut.outer ?? 1);
      if (group % (cut.count < ranks ? ranks : cut.count) !== 0)
        return { slot, have: `${group} columns`, want: `the rank count must divide ${group}` };
      continue;
    }
    for (const segment of row.segments) {
      const units = segment.units ?? cut.count;
      if (segment.units !== undefined && units % ranks !== 0)
        return {
          slot: `${slot}.${segment.name}`,
          have: `${units} units of '${segment.name}'`,
          want: `the rank count must divide ${units}`,
        };
      const group = segment.rows / (segment.outer ?? 1);
      if (group % units !== 0)
        return {
          slot: `${slot}.${segment.name}`,
          have: `${group} rows`,
          want: `they must be a multiple of ${units} ${cut.unit}`,
        };
    }
  }
  return null;
}
