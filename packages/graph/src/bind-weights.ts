import {
  blockOf,
  type Checkpoint,
  CortexError,
  type QuantFormat,
  rowBytes,
  type TensorEntry,
  type WeightFormat,
} from '@helexa/core';
import type { TensorSpec } from './program.js';
import { type ResolvedSegment, type ResolvedSlot, type ResolvedWeights, resolveWeights } from './resolve-weights.js';
import {
  checkDivision,
  columnRuns,
  type DivisionProblem,
  findDivisionProblem,
  lengthOf,
  type Part,
  type Run,
  rowRuns,
} from './shard.js';
import { storedFormat } from './stored-format.js';
import type { Weight } from './value.js';
import type { Fill, ReadRange, Source, WeightsTable } from './weights.js';

/** The weights of one rank: the tensors of its program, how each is filled, and what its graph sees. */
export interface BoundWeights {
  readonly tensors: readonly TensorSpec[];
  /** Parallel to `tensors`. */
  readonly fills: readonly Fill[];
  /** By slot, in the rank's own dimensions. */
  readonly weights: ReadonlyMap<string, Weight>;
}

/** Matches a table with a checkpoint and takes one rank's part: only the bytes that this rank needs are in its ranges. */
export function bindWeights(
  table: WeightsTable,
  checkpoint: Checkpoint,
  rank: number,
  ranks: number,
  formats: ReadonlySet<WeightFormat>,
): BoundWeights {
  const resolved = resolveWeights(table, checkpoint, formats);
  checkParts(resolved, ranks);
  return takePart(resolved, { rank, ranks });
}

/** Refuses a rank count over which the cuts do not divide, or that would part a quantised block. */
export function checkParts(resolved: ResolvedWeights, ranks: number): void {
  checkDivision(ranks, (count) => findDivisionProblem(resolved.table, count) ?? findPartedBlock(resolved, count));
}

function findPartedBlock(resolved: ResolvedWeights, ranks: number): DivisionProblem | null {
  for (const { slot, row, kind, segments } of resolved.slots.values()) {
    if (kind !== 'read' || row.cut?.axis !== 'cols') continue;
    for (const { entries } of segments) {
      const inFile = entries[0]!.format as WeightFormat;
      const format = storedFormat(row, inFile, resolved.quant);
      const { elements } = blockOf[format];
      const whole = ({ start, count }: Run): boolean => start % elements === 0 && count % elements === 0;
      for (let rank = 0; rank < ranks; rank++) {
        const runs = columnRuns(row, { rank, ranks });
        // What is quantised here is so after the runs of a rank were put together: only their sum must be whole.
        const blocks = format === inFile ? runs : [{ start: 0, count: lengthOf(runs) }];
        const parted = blocks.find((run) => !whole(run));
        if (parted)
          return {
            slot,
            have: `a rank's share is ${parted.count} columns of format ${format}`,
            want: `it must be whole blocks of ${elements}`,
          };
      }
    }
  }
  return null;
}

/** One rank's part of resolved weights. `checkParts` has passed. */
export function takePart(resolved: ResolvedWeights, part: Part): BoundWeights {
  const tensors: TensorSpec[] = [];
  const fills: Fill[] = [];
  const weights = new Map<string, Weight>();
  for (const slot of resolved.slots.values()) {
    weights.set(slot.slot, localWeight(slot, part));
    if (slot.kind === 'tied') continue;
    if (slot.row.cols === null) {
      const rows = slot.segments.reduce((sum, { segment }) => sum + lengthOf(rowRuns(slot.row, segment, part)), 0);
      tensors.push({ name: slot.slot, format: 'F32', rows, cols: 1, lookup: slot.row.lookup ?? false });
      fills.push(vectorFill(slot, part));
      continue;
    }
    for (const segment of slot.segments) {
      const rows = lengthOf(rowRuns(slot.row, segment.segment, part));
      const cols = lengthOf(columnRuns(slot.row, part));
      const format = formatOf(slot, segment, resolved.quant);
      const name = segmentName(slot, segment);
      tensors.push({ name, format, rows, cols, lookup: slot.row.lookup ?? false });
      fills.push({ kind: 'read', ranges: readRanges(slot, segment, part, 0) });
    }
  }
  return { tensors, fills, weights };
}

/** Slot and segment; a slot with one segment of its own name says it once. */
const segmentName = ({ slot, segments }: ResolvedSlot, { segment }: ResolvedSegment): string =>
  segments.length === 1 ? slot : `${slot}.${segment.name}`;

function localWeight({ row, weight }: ResolvedSlot, part: Part): Weight {
  return {
    ...weight,
    cols: row.cols === null ? null : lengthOf(columnRuns(row, part)),
    segments: weight.segments.map((segment, index) => ({
      ...segment,
      rows: lengthOf(rowRuns(row, row.segments[index]!, part)),
    })),
  };
}

function formatOf(
  { slot, row }: ResolvedSlot,
  { entries, source }: ResolvedSegment,
  quant: QuantFormat | null,
): WeightFormat {
  const format = entries[0]!.format as WeightFormat;
  const other = entries.find((entry) => entry.format !== format);
  if (other) throw new CortexError('tensor_format', { tensor: other.name, format: other.format, supported: [format] });
  if (source?.map)
    throw new CortexError('graph_invalid', {
      node: slot,
      reason: 'only the values of a vector may be changed at load',
    });
  return storedFormat(row, format, quant);
}

function vectorFill(slot: ResolvedSlot, part: Part): Fill {
  const { row, segments } = slot;
  if (row.once && part.rank > 0) return { kind: 'zeros' };
  const maps = new Set(segments.map(({ source }) => source?.map));
  if (maps.size > 1)
    throw new CortexError('graph_invalid', { node: slot.slot, reason: 'its segments must share one change of values' });
  const ranges: ReadRange[] = [];
  let rowStart = 0;
  for (const segment of segments) {
    if (segment.source) ranges.push(...readRanges(slot, segment, part, rowStart));
    rowStart += lengthOf(rowRuns(row, segment.segment, part));
  }
  if (row.compute) return { kind: 'constant', factors: ranges.length > 0 ? ranges : null, values: row.compute };
  const map = segments[0]?.source?.map;
  return { kind: 'read', ranges, ...(map ? { map } : {}) };
}

function readRanges(slot: ResolvedSlot, resolved: ResolvedSegment, part: Part, firstRow: number): ReadRange[] {
  const { row } = slot;
  const { segment, source, entries } = resolved;
  if (!source) return [];
  if (source.interleaved) return interleavedRanges(slot, source.interleaved.columns, entries, firstRow);
  const columns = columnRuns(row, part);
  const fileColumns = row.cols ?? 1;
  const ranges: ReadRange[] = [];
  let rowStart = firstRow;
  for (const run of rowRuns(row, segment, part))
    for (const stretch of stretches(source, entries, segment.rows, run)) {
      const format = stretch.entry.format as WeightFormat;
      const wholeRow = rowBytes(format, fileColumns);
      let rowByte = 0;
      for (const column of columns) {
        const bytes = rowBytes(format, column.count);
        ranges.push({
          entry: stretch.entry,
          rowStart,
          rows: stretch.count,
          offset: stretch.entry.begin + stretch.start * wholeRow + rowBytes(format, column.start),
          rowBytes: bytes,
          strideBytes: stretch.step * wholeRow,
          rowByte,
        });
        rowByte += bytes;
      }
      rowStart += stretch.count;
    }
  return ranges;
}

/** All rows of a matrix whose column groups lie in several tensors: group g of the row is group g / n of tensor g mod n. */
function interleavedRanges(
  { slot, row }: ResolvedSlot,
  columns: number,
  entries: readonly TensorEntry[],
  rowStart: number,
): ReadRange[] {
  const format = entries[0]!.format as WeightFormat;
  const rows = row.segments[0]!.rows;
  const groups = row.cols! / columns;
  if (row.cut !== null || row.segments.length !== 1 || !Number.isInteger(groups / entries.length))
    throw new CortexError('graph_invalid', {
      node: slot,
      reason: 'a source of interleaved columns wants one segment without a cut, and whole groups',
    });
  const group = rowBytes(format, columns);
  const wholeRow = (groups / entries.length) * group;
  return Array.from({ length: groups }, (_, index) => {
    const entry = entries[index % entries.length]!;
    return {
      entry,
      rowStart,
      rows,
      offset: entry.begin + Math.floor(index / entries.length) * group,
      rowBytes: group,
      strideBytes: wholeRow,
      rowByte: index * group,
    };
  });
}

/** File rows of one entry at equal distances. */
interface Stretch {
  readonly entry: TensorEntry;
  readonly start: number;
  readonly count: number;
  readonly step: number;
}

/** The file rows of a run, in as few stretches as follow one another. */
function stretches(source: Source, entries: readonly TensorEntry[], rows: number, run: Run): Stretch[] {
  const perEntry = rows / entries.length;
  const found: Stretch[] = [];
  for (let row = run.start; row < run.start + run.count; ) {
    const index = Math.floor(row / perEntry);
    const entry = entries[index]!;
    const end = Math.min(run.start + run.count, (index + 1) * perEntry);
    const fileRow = (at: number): number => source.row?.(at - index * perEntry) ?? at - index * perEntry;
    if (source.row) found.push(...arithmeticRuns(row, end, fileRow).map((stretch) => ({ entry, ...stretch })));
    else found.push({ entry, start: fileRow(row), count: end - row, step: 1 });
    row = end;
  }
  return found;
}

function arithmeticRuns(from: number, to: number, fileRow: (row: number) => number): Omit<Stretch, 'entry'>[] {
  const runs: Omit<Stretch, 'entry'>[] = [];
  for (let row = from; row < to; ) {
    const start = fileRow(row);
    const step = row + 1 < to ? fileRow(row + 1) - start : 1;
    let count = 1;
    while (step > 0 && row + count < to && fileRow(row + count) === start + count * step) count++;
    runs.push({ start, count, step: count === 1 ? 1 : step });
    row += count;
  }
  return runs;
}
