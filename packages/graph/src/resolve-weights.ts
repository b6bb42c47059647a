import {
  blockOf,
  type Checkpoint,
  CortexError,
  type QuantFormat,
  type TensorEntry,
  type WeightFormat,
} from '@helexa/core';
import { storedFormat } from './stored-format.js';
import type { Weight } from './value.js';
import type { Segment, Source, WeightRow, WeightsTable } from './weights.js';

/** One segment with what it is read from; null when its slot is computed, absent or tied. */
export interface ResolvedSegment {
  readonly segment: Segment;
  readonly source: Source | null;
  /** One entry, or one per stacked tensor. */
  readonly entries: readonly TensorEntry[];
}

/** One slot of one layer, matched with a checkpoint. */
export interface ResolvedSlot {
  readonly slot: string;
  readonly row: WeightRow;
  readonly kind: 'read' | 'computed' | 'tied';
  readonly segments: readonly ResolvedSegment[];
  /** The whole weight, in global dimensions, with the tensor indices that every rank's program uses. */
  readonly weight: Weight;
}

/** A weights table matched with a checkpoint: the same for every rank. */
export interface ResolvedWeights {
  readonly table: WeightsTable;
  /** What matrices of floats become as they are loaded; null: they stay as they are. */
  readonly quant: QuantFormat | null;
  readonly slots: ReadonlyMap<string, ResolvedSlot>;
  /** Tensors of each rank's program. */
  readonly tensorCount: number;
}

const vectorFormats: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16']);

/**
 * Matches every row with the tensors it is read from, and every tensor with a row; shapes and formats are checked here,
 * before a byte is read.
 */
export function resolveWeights(
  table: WeightsTable,
  checkpoint: Checkpoint,
  formats: ReadonlySet<WeightFormat>,
  quant: QuantFormat | null = null,
): ResolvedWeights {
  if (quant !== null && checkpoint.kind === 'gguf')
    throw new CortexError('cannot_quantise', {
      what: checkpoint.path,
      format: quant,
      have: 'a GGUF file has the formats it was made with',
      want: 'safetensors are wanted',
    });
  const slots = new Map<string, ResolvedSlot>();
  const consumed = new Set<string>();
  let tensorCount = 0;
  for (const { slot, row, layer } of instances(table)) {
    const segments = row.segments.map((segment) => findSource(segment, layer, checkpoint));
    const kind = kindOf(slot, row, segments, layer, checkpoint);
    if (kind === 'absent') continue;
    for (const [index, resolved] of segments.entries())
      for (const entry of resolved.entries) {
        checkEntry(slot, row, row.segments[index]!, resolved.source!, entry, formats, quant);
        consumed.add(entry.name);
      }
    const weight = kind === 'tied' ? tiedWeight(slot, row, slots) : ownWeight(slot, row, tensorCount);
    if (kind !== 'tied') tensorCount += row.cols === null ? 1 : row.segments.length;
    slots.set(slot, { slot, row, kind, segments, weight });
  }
  refuseUnexpected(table, checkpoint, consumed);
  return { table, quant, slots, tensorCount };
}

interface Instance {
  readonly slot: string;
  readonly row: WeightRow;
  readonly layer: number | null;
}

/** Every slot of every layer: in table order, with all rows of a layer together. */
export function instances(table: WeightsTable): readonly Instance[] {
  const layered = table.rows.filter((row) => row.layers !== undefined);
  const layers = [...new Set(layered.flatMap((row) => row.layers ?? []))].sort((a, b) => a - b);
  const ofLayers = layers.flatMap((layer) =>
    layered
      .filter((row) => row.layers?.includes(layer))
      .map((row) => ({ slot: `layers.${layer}.${row.slot}`, row, layer })),
  );
  const first = table.rows.findIndex((row) => row.layers !== undefined);
  const once = (row: WeightRow): Instance[] => (row.layers === undefined ? [{ slot: row.slot, row, layer: null }] : []);
  return [
    ...table.rows.slice(0, Math.max(first, 0)).flatMap(once),
    ...ofLayers,
    ...table.rows.slice(Math.max(first, 0)).flatMap(once),
  ];
}

/** Names of the tensors a source reads. */
export function tensorNames(source: Source, layer: number | null): readonly string[] {
  const named = (name: string): string => name.replace('{layer}', String(layer ?? ''));
  const name = named(source.tensor);
  if (source.interleaved) return [name, ...source.interleaved.with.map(named)];
  if (source.stack === undefined) return [name];
  return Array.from({ length: source.stack }, (_, expert) => name.replace('{expert}', String(expert)));
}

/** The shape that one tensor of a source has in its file. */
export function fileShape(row: WeightRow, segment: Segment, source: Source): readonly number[] {
  if (source.shape) return source.shape;
  const rows = segment.rows / (source.stack ?? 1);
  return row.cols === null ? [rows] : [rows, row.cols];
}

function findSource(segment: Segment, layer: number | null, checkpoint: Checkpoint): ResolvedSegment {
  for (const source of segment[checkpoint.kind]) {
    const entries = tensorNames(source, layer).map((name) => checkpoint.tensors.get(name));
    if (entries.every((entry) => entry !== undefined)) return { segment, source, entries };
  }
  return { segment, source: null, entries: [] };
}

function kindOf(
  slot: string,
  row: WeightRow,
  segments: readonly ResolvedSegment[],
  layer: number | null,
  checkpoint: Checkpoint,
): ResolvedSlot['kind'] | 'absent' {
  if (row.compute) return 'computed';
  const missing = segments.find((resolved) => resolved.source === null);
  if (!missing) return 'read';
  if (segments.every((resolved) => resolved.source === null)) {
    if (row.tie !== undefined) return 'tied';
    if (row.optional) return 'absent';
  }
  const wanted = missing.segment[checkpoint.kind][0];
  const name = wanted ? tensorNames(wanted, layer).find((tensor) => !checkpoint.tensors.has(tensor)) : undefined;
  throw new CortexError('tensor_missing', { slot, tensor: name ?? `(none in ${checkpoint.kind})` });
}

function checkEntry(
  slot: string,
  row: WeightRow,
  segment: Segment,
  source: Source,
  entry: TensorEntry,
  formats: ReadonlySet<WeightFormat>,
  quant: QuantFormat | null,
): void {
  const expected = fileShape(row, segment, source);
  if (entry.shape.length !== expected.length || expected.some((size, axis) => size !== entry.shape[axis]))
    throw new CortexError('tensor_shape', { tensor: entry.name, actual: entry.shape, expected });
  const supported: ReadonlySet<string> = row.cols === null ? vectorFormats : formats;
  const stored = storedFormat(row, entry.format as WeightFormat, quant);
  if (!supported.has(stored))
    throw new CortexError('tensor_format', { tensor: entry.name, format: stored, supported: [...supported] });
  const { elements } = blockOf[stored];
  if (stored !== entry.format && row.cols! % elements !== 0)
    throw new CortexError('cannot_quantise', {
      what: slot,
      format: stored,
      have: `its rows are ${row.cols} columns`,
      want: `whole blocks of ${elements} are wanted`,
    });
}

function ownWeight(slot: string, row: WeightRow, firstTensor: number): Weight {
  return {
    slot,
    cols: row.cols,
    segments: row.segments.map(({ name, rows }, index) => ({
      name,
      rows,
      tensor: row.cols === null ? firstTensor : firstTensor + index,
    })),
    cut: row.cut === null ? null : { axis: row.cut.axis, name: row.cut.cut.name },
    ...(row.once ? { once: true } : {}),
  };
}

function tiedWeight(slot: string, row: WeightRow, slots: ReadonlyMap<string, ResolvedSlot>): Weight {
  const target = slots.get(row.tie!);
  const same =
    target &&
    target.row.cols === row.cols &&
    target.row.cut?.cut.name === row.cut?.cut.name &&
    target.row.cut?.axis === row.cut?.axis &&
    target.row.segments.length === row.segments.length &&
    target.row.segments.every((segment, index) => segment.rows === row.segments[index]!.rows);
  if (!same)
    throw new CortexError('graph_invalid', {
      node: slot,
      reason: `it is tied to '${row.tie}'; the two rows must come in this order and have the same shape and cut`,
    });
  return { ...target.weight, slot };
}

function refuseUnexpected(table: WeightsTable, checkpoint: Checkpoint, consumed: ReadonlySet<string>): void {
  const ignored = table.ignored.map(
    (pattern) => new RegExp(`^${pattern.split('*').map(escapeRegExp).join('.*')}$`, 'u'),
  );
  // A companion may belong to another model of the folder, and a model may be loaded without its tower.
  const tensors = [...checkpoint.tensors]
    .filter(([name, { file }]) => !consumed.has(name) && file !== checkpoint.companion)
    .map(([name]) => name)
    .filter((name) => !ignored.some((pattern) => pattern.test(name)));
  if (tensors.length > 0) throw new CortexError('tensor_unexpected', { tensors });
}

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/gu, '\\$&');
