import type { WeightFormat } from '@helexa/core';
import type { Backend } from '../backend.js';
import { GraphWriter, rootOf, ValueMap } from '../graph-writer.js';
import type { OpDefinition, Shape } from '../op.js';
import { type OpName, opcodes } from '../opcodes.js';
import { type Graph, type Node, type Value, widthOf } from '../value.js';
import { fusions, type Match, type Uses } from './fusions.js';

export interface FuseOptions {
  readonly definitions: Readonly<Record<OpName, OpDefinition>>;
  readonly backend: Pick<Backend, 'fusions' | 'quantisedRowBytes'>;
  /** Stored format of a tensor of the program. */
  readonly formatOf: (tensor: number) => WeightFormat;
}

/** Rewrites runs of ops into the fused ops that a backend has, then hands quantised rows on where all readers want them. */
export function fuse(graph: Graph, options: FuseOptions): Graph {
  return shareQuantised(replaceMatches(graph, options), options);
}

function replaceMatches(graph: Graph, { definitions, backend }: FuseOptions): Graph {
  const uses = usesOf(graph);
  const taken = new Map<Node, { match: Match; op: OpName }>();
  for (const fusion of fusions) {
    if (!backend.fusions.has(fusion.op)) continue;
    for (const node of graph.nodes) {
      if (node.op !== fusion.from || taken.has(node)) continue;
      const match = fusion.match(node, uses);
      if (!match || match.nodes.some((part) => taken.has(part))) continue;
      for (const part of match.nodes) taken.set(part, { match, op: fusion.op });
    }
  }
  const writer = new GraphWriter();
  const values = new ValueMap(writer);
  for (const node of graph.nodes) {
    const fused = taken.get(node);
    if (fused && fused.match.at !== node) continue;
    const { weights, attributes, outputs } = fused?.match ?? node;
    const inputs = (fused?.match ?? node).inputs.map((input) => values.get(input));
    const op = fused?.op ?? node.op;
    const name = fused ? outputs.at(-1)!.name : node.name;
    const shapes = fused ? definitions[fused.op].shape({ name, inputs, weights, attributes }) : node.outputs;
    const names = outputs.map((output) => output.name);
    const made = writer.node({ op, name, inputs, weights, attributes }, shapes, names);
    for (const [index, output] of outputs.entries()) values.set(output, made.outputs[index]!);
  }
  return writer.graph();
}

const quantised = 'quantised?';

/**
 * Where every reader of a row that could take it quantised multiplies it with block-quantised weights, its maker gives it
 * in the backend's own form too, so that it is quantised once and not by each reader.
 */
function shareQuantised(graph: Graph, { backend, formatOf }: FuseOptions): Graph {
  const uses = usesOf(graph);
  const writer = new GraphWriter();
  const values = new ValueMap(writer);
  const forms = new Map<Value, Value>();
  for (const node of graph.nodes) {
    const signature = opcodes[node.op as OpName];
    const position = (signature.outputs as readonly string[]).indexOf(quantised);
    const y = position > 0 ? node.outputs[position - 1] : undefined;
    const bytes = y && wantsQuantised(uses.of(y), y, formatOf) ? backend.quantisedRowBytes(widthOf(y)) : null;
    const shapes: Shape[] = [...node.outputs];
    const names = node.outputs.map((output) => output.name);
    if (bytes !== null && shapes.length === position) {
      shapes.push({ rows: y!.rows, segments: [bytes / 4] });
      names.push(`${y!.name}.quantised`);
    }
    const form = node.inputs[0] && forms.get(node.inputs[0]);
    const inputs = node.inputs.map((input) => values.get(input));
    if (form && acceptsQuantised(node)) inputs.push(form);
    const made = writer.node({ ...node, inputs }, shapes, names);
    for (const [index, output] of node.outputs.entries()) values.set(output, made.outputs[index]!);
    if (y && made.outputs.length > node.outputs.length) forms.set(y, made.outputs.at(-1)!);
  }
  return writer.graph();
}

const acceptsQuantised = (node: Node): boolean =>
  (opcodes[node.op as OpName].inputs as readonly string[]).includes(quantised);

function wantsQuantised(readers: readonly Node[], y: Value, formatOf: FuseOptions['formatOf']): boolean {
  const linears = readers.filter((reader) => acceptsQuantised(reader) && reader.inputs[0] === y);
  return (
    linears.length > 0 &&
    linears.every((linear) =>
      linear.weights['matrix']!.segments.every((segment) => formatOf(segment.tensor).startsWith('Q')),
    )
  );
}

function usesOf(graph: Graph): Uses {
  const exact = new Map<Value, Node[]>();
  const roots = new Map<Value, Node[]>();
  const note = (map: Map<Value, Node[]>, value: Value, node: Node): void => {
    const known = map.get(value) ?? [];
    if (!known.includes(node)) map.set(value, [...known, node]);
  };
  for (const node of graph.nodes)
    for (const input of node.inputs) {
      note(exact, input, node);
      note(roots, rootOf(input), node);
    }
  return { of: (value) => exact.get(value) ?? [], ofRoot: (value) => roots.get(rootOf(value)) ?? [] };
}
