import { type Checkpoint, CortexError } from '@helexa/core';
import { listCheckpointTensors } from './checkpoint-tensors.js';
import type { Graph, Node } from './value.js';
import type { Segment, Source, WeightsTable } from './weights.js';

/** A graph whose steps expose the rows that its head would have read, and the slot of that head. */
export interface HeadlessGraph {
  readonly graph: Graph;
  readonly head: string;
}

/** Takes the head off a forward graph: its last product and the sampling of what it gave. */
export function withoutHead({ nodes }: Graph): HeadlessGraph {
  const [product, choice] = nodes.slice(-2);
  const [rows] = product?.inputs ?? [];
  const head = product?.weights['matrix'];
  if (product?.op !== 'linear' || choice?.op !== 'sample' || choice.inputs[0] !== product.outputs[0] || !rows || !head)
    throw new CortexError('graph_invalid', {
      node: choice?.name ?? 'sample',
      reason: 'its input is no product; a model whose head is one matrix is wanted to leave the head out',
    });
  const { id } = product;
  const end: Node = {
    id,
    op: 'expose_rows',
    name: 'exposeRows',
    inputs: [rows],
    weights: {},
    attributes: {},
    outputs: [],
  };
  return { graph: { nodes: [...nodes.slice(0, -2), end] }, head: head.slot };
}

/**
 * The table of a model that is read without its head. Its tensors may be there all the same; and models that were never
 * given one are published with names that lack the first part: `layers.0.` for `model.layers.0.`.
 */
export function tableWithoutHead(table: WeightsTable, head: string, kind: Checkpoint['kind']): WeightsTable {
  const own = table.rows.filter((row) => row.slot === head);
  const rows = table.rows.filter((row) => row.slot !== head);
  const unread = listCheckpointTensors({ rows: own, ignored: [] }, kind).map(({ name }) => name);
  const kept = new Set(listCheckpointTensors({ rows, ignored: [] }, kind).map(({ name }) => name));
  return {
    rows: rows.map((row) => ({ ...row, segments: row.segments.map(withBaseNames) })),
    ignored: [...table.ignored, ...unread.filter((name) => !kept.has(name))],
  };
}

const withBaseNames = (segment: Segment): Segment => ({
  ...segment,
  safetensors: [...segment.safetensors, ...segment.safetensors.flatMap(baseSource)],
});

function baseSource(source: Source): Source[] {
  const first = source.tensor.indexOf('.');
  return first < 0 ? [] : [{ ...source, tensor: source.tensor.slice(first + 1) }];
}
