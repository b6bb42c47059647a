import { CortexError } from '@helexa/core';
import { GraphWriter, rootOf, ValueMap } from '../graph-writer.js';
import { describeState, mirrored, type OpDefinition, type ShardState } from '../op.js';
import type { OpName } from '../opcodes.js';
import { type Part, shareOf } from '../shard.js';
import { type Graph, type Node, type Value, type Weight, widthOf } from '../value.js';
import type { Cut } from '../weights.js';

export interface ShardOptions extends Part {
  readonly definitions: Readonly<Record<OpName, OpDefinition>>;
  /** The rank's own weights, by slot. */
  readonly weights: ReadonlyMap<string, Weight>;
  /** First row of a slot's first segment that the rank holds. */
  readonly rowStart: (slot: string) => number;
  readonly cuts: ReadonlyMap<string, Cut>;
}

/**
 * One rank's graph. Widths are derived again from the rank's own weights; how each value stands on the ranks follows from
 * the cuts of the weights, and a collective is inserted where a consumer needs more than a rank has.
 */
export function shardGraph(graph: Graph, options: ShardOptions): Graph {
  const pass = new ShardPass(options);
  for (const node of graph.nodes) pass.add(node);
  return pass.writer.graph();
}

class ShardPass {
  readonly writer = new GraphWriter();
  readonly #options: ShardOptions;
  readonly #local: ValueMap;
  /** By the values of the whole graph; a segment stands as its root does. */
  readonly #states = new Map<Value, ShardState>();
  /** The slot whose cut divided a value, for refusals. */
  readonly #origins = new Map<Value, string>();

  constructor(options: ShardOptions) {
    this.#options = options;
    this.#local = new ValueMap(this.writer);
  }

  add(node: Node): void {
    const { definitions, rank, ranks } = this.#options;
    const definition = definitions[node.op as OpName];
    const weights = ranks === 1 ? uncut(node.weights) : node.weights;
    const states = (): ShardState[] => node.inputs.map((input) => this.#stateOf(input));
    if (states().some((state) => state.kind === 'partial') && !definition.acceptsPartial(states()))
      for (const input of node.inputs) if (this.#stateOf(input).kind === 'partial') this.#reduce(input);
    const ask = () =>
      definition.shard({
        name: node.name,
        inputs: states(),
        weights,
        attributes: node.attributes,
        rank,
        ranks,
        rowStart: (role) => {
          const weight = node.weights[role];
          return weight ? this.#options.rowStart(weight.slot) : 0;
        },
      });
    let result = ask();
    if ('gather' in result) {
      this.#gather(node, node.inputs[result.gather]!);
      result = ask();
    }
    if ('refuse' in result) this.#refuse(node, result.refuse);
    if ('gather' in result) invalid(node, `op '${node.op}' asks for a gather of what is whole`);
    const attributes = { ...node.attributes, ...result.attributes };
    this.#emit(node, attributes, result.outputs);
  }

  #emit(node: Node, attributes: Node['attributes'], states: readonly ShardState[]): void {
    const definition = this.#options.definitions[node.op as OpName];
    const inputs = node.inputs.map((input) => this.#local.get(input));
    const weights = Object.fromEntries(
      Object.entries(node.weights).map(([role, weight]) => [role, weight && this.#options.weights.get(weight.slot)]),
    );
    const shapes = definition.shape({ name: node.name, inputs, weights, attributes });
    const made = this.writer.node({ op: node.op, name: node.name, inputs, weights, attributes }, shapes);
    for (const [index, output] of node.outputs.entries()) {
      const state = states[index];
      if (!state) invalid(node, `op '${node.op}' gives no state for output ${index}`);
      const whole = state.kind !== 'split';
      if (whole && output.segments.join() !== made.outputs[index]!.segments.join())
        invalid(
          node,
          `'${output.name}' is ${describeState(state)}, but a rank has ${widthOf(made.outputs[index]!)} columns`,
        );
      this.#local.set(output, made.outputs[index]!);
      this.#states.set(output, state);
      if (!whole) this.#origins.set(output, this.#originOf(node));
    }
  }

  #stateOf(value: Value): ShardState {
    return this.#states.get(value) ?? this.#states.get(rootOf(value)) ?? mirrored;
  }

  /** Sums a partial value over the ranks, once for all its consumers. */
  #reduce(value: Value): void {
    const root = rootOf(value);
    const input = this.#local.get(root);
    const node = { op: 'all_reduce', name: `${root.name}.sum`, inputs: [input], weights: {}, attributes: {} };
    const made = this.writer.node(node, [input]);
    this.#local.set(root, made.outputs[0]!);
    this.#states.set(root, mirrored);
  }

  /** Brings the columns of all ranks together on rank 0. */
  #gather(node: Node, value: Value): void {
    const state = this.#stateOf(value);
    const cut = state.kind === 'split' ? this.#options.cuts.get(state.cut) : undefined;
    if (!cut || value.segments.length !== 1 || value.view)
      invalid(node, `'${value.name}' is ${describeState(state)} and cannot be gathered`);
    const columns = widthOf(value);
    if (columns % cut.count !== 0 || cut.count < this.#options.ranks)
      invalid(node, `'${value.name}' has ${columns} columns, not a share of ${cut.count} ${cut.unit} on each rank`);
    const columnStart = shareOf(cut.count, this.#options).start * (columns / cut.count);
    const input = this.#local.get(value);
    const made = this.writer.node(
      { op: 'gather', name: `${value.name}.all`, inputs: [input], weights: {}, attributes: { columnStart, columns } },
      [{ rows: value.rows, segments: [columns] }],
    );
    this.#local.set(value, made.outputs[0]!);
    this.#states.set(value, mirrored);
  }

  #originOf(node: Node): string {
    const cut = Object.values(node.weights).find((weight) => weight?.cut);
    if (cut) return cut.slot;
    const input = node.inputs.find((candidate) => this.#stateOf(candidate).kind === 'split');
    return (input && this.#origins.get(rootOf(input))) ?? node.name;
  }

  #refuse(node: Node, { have, want }: { have: string; want: string }): never {
    const origins = [...new Set(node.inputs.map((input) => this.#origins.get(rootOf(input))))].filter(
      (origin) => origin !== undefined,
    );
    const from = origins.length > 0 ? ` (divided by ${origins.map((origin) => `'${origin}'`).join(' and ')})` : '';
    const slot = Object.values(node.weights).find((weight) => weight !== undefined)?.slot ?? node.name;
    throw new CortexError('cannot_shard', { slot, ranks: this.#options.ranks, have: `${have}${from}`, want });
  }
}

const uncut = (weights: Node['weights']): Node['weights'] =>
  Object.fromEntries(Object.entries(weights).map(([role, weight]) => [role, weight && { ...weight, cut: null }]));

function invalid(node: Node, reason: string): never {
  throw new CortexError('graph_invalid', { node: node.name, reason });
}
