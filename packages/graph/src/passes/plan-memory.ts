import { CortexError } from '@helexa/core';
import { rootOf } from '../graph-writer.js';
import { mostRowsOf, type StepLimits } from '../step.js';
import { type Graph, type Value, widthOf } from '../value.js';

/** Where a value lies in the arena, in float32 elements, and over which instructions it must stay. */
export interface Region {
  readonly value: Value;
  readonly offset: number;
  /** Elements between rows, and in all for the largest step. */
  readonly stride: number;
  readonly size: number;
  /** Index of the node that writes it and of the last that reads it. */
  readonly from: number;
  readonly to: number;
}

export interface ArenaPlan {
  /** By root value: a segment lies within its root. */
  readonly regions: ReadonlyMap<Value, Region>;
  readonly arenaElements: number;
}

/** The limits that rows follow from. */
export type RowLimits = Pick<StepLimits, 'maxRows' | 'maxSampled' | 'vision'>;

/** Rows start at whole cache lines. */
export const alignElements = 16;

/**
 * Gives every value a place in one arena: largest first, into the smallest gap among the regions that live at the same
 * time. A value read by the node that makes another never shares memory with it, so no op has to work in place.
 */
export function planMemory(graph: Graph, limits: RowLimits): ArenaPlan {
  const wanted = lifetimes(graph, limits);
  const bySize = [...wanted].sort((a, b) => b.size - a.size || a.value.id - b.value.id);
  const placed: Region[] = [];
  for (const region of bySize) {
    const alive = placed
      .filter((other) => other.from <= region.to && region.from <= other.to)
      .sort((a, b) => a.offset - b.offset);
    placed.push({ ...region, offset: bestGap(alive, region.size) });
  }
  const regions = new Map(placed.map((region) => [region.value, region]));
  const arenaElements = placed.reduce((end, region) => Math.max(end, region.offset + region.size), 0);
  return { regions, arenaElements };
}

/** Offsets are int32 words of an instruction. */
const mostElements = 2 ** 31 - 1;

/** Throws `graph_invalid` when two values that live at the same time share memory, or one lies outside the arena. */
export function verifyPlan({ regions, arenaElements }: ArenaPlan): void {
  const last = [...regions.values()].find((region) => region.offset + region.size > mostElements);
  if (last)
    refuse(last, `the activations of one step take more than ${mostElements} elements; a step needs fewer rows`);
  const all = [...regions.values()].sort((a, b) => a.offset - b.offset);
  for (const [index, region] of all.entries()) {
    if (region.offset % alignElements !== 0 || region.offset + region.size > arenaElements)
      refuse(region, `its region [${region.offset}, ${region.offset + region.size}) does not fit the arena`);
    for (let next = index + 1; next < all.length && all[next]!.offset < region.offset + region.size; next++) {
      const other = all[next]!;
      if (other.from <= region.to && region.from <= other.to)
        refuse(region, `it shares memory with '${other.value.name}' while both are needed`);
    }
  }
}

function lifetimes(graph: Graph, limits: RowLimits): readonly Region[] {
  const lastRead = new Map<Value, number>();
  for (const [index, node] of graph.nodes.entries())
    for (const input of node.inputs) lastRead.set(rootOf(input), index);
  return graph.nodes.flatMap((node, index) =>
    node.outputs.map((value) => {
      const stride = Math.ceil(widthOf(value) / alignElements) * alignElements;
      const size = stride * mostRows(value, limits);
      return { value, offset: 0, stride, size, from: index, to: lastRead.get(value) ?? index };
    }),
  );
}

function mostRows(value: Value, limits: RowLimits): number {
  const rows = mostRowsOf(limits)[value.rows];
  if (rows === 0)
    throw new CortexError('graph_invalid', { node: value.name, reason: `a step has no limit of '${value.rows}'` });
  return rows;
}

/** Offset of the smallest gap between the regions (sorted by offset) that holds `size`; the end when none does. */
function bestGap(alive: readonly Region[], size: number): number {
  let best: { readonly offset: number; readonly room: number } | null = null;
  let end = 0;
  for (const region of alive) {
    const room = region.offset - end;
    if (room >= size && (best === null || room < best.room)) best = { offset: end, room };
    end = Math.max(end, region.offset + region.size);
  }
  return best?.offset ?? end;
}

function refuse(region: Region, reason: string): never {
  throw new CortexError('graph_invalid', { node: region.value.name, reason });
}
