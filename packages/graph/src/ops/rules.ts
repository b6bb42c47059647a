import { CortexError } from '@helexa/core';
import {
  type Cost,
  type CostContext,
  describeState,
  type Shape,
  type ShapeContext,
  type ShardContext,
  type ShardResult,
  type ShardState,
  sameState,
} from '../op.js';
import type { Weight } from '../value.js';

/** Shape, shard and cost rules that several ops share. */

export const columnsOf = (shape: Shape): number => shape.segments.reduce((sum, columns) => sum + columns, 0);

export const weightRows = (weight: Weight): number => weight.segments.reduce((sum, segment) => sum + segment.rows, 0);

/** A node as far as an error needs it; a cost question names none. */
interface Named {
  readonly name?: string;
}

/** Refuses a node unless `holds`. */
export function expect(node: Named, holds: boolean, reason: () => string): void {
  if (!holds) throw new CortexError('graph_invalid', { node: node.name ?? 'cost', reason: reason() });
}

/** The input of an index; refuses the node when it is not there. */
export function inputShape(node: ShapeContext, index: number): Shape {
  const shape = node.inputs[index];
  expect(node, shape !== undefined, () => `input ${index} is missing; ${index + 1} are wanted`);
  return shape!;
}

export function attribute(node: Named & Pick<ShapeContext, 'attributes'>, name: string): number {
  const value = node.attributes[name];
  expect(node, value !== undefined, () => `attribute '${name}' is missing`);
  return value!;
}

export function weightOf(node: Named & Pick<ShapeContext, 'weights'>, role: string): Weight {
  const weight = node.weights[role];
  expect(node, weight !== undefined, () => `weight '${role}' is missing`);
  return weight!;
}

/** Refuses inputs that do not all have the rows and the width of the first; answers the first. */
export function alikeShape(node: ShapeContext, count: number): Shape {
  const first = inputShape(node, 0);
  for (let index = 1; index < count; index++) {
    const other = inputShape(node, index);
    expect(
      node,
      other.rows === first.rows && columnsOf(other) === columnsOf(first),
      () =>
        `input ${index} is [${other.rows}, ${columnsOf(other)}]; [${first.rows}, ${columnsOf(first)}] like input 0 is wanted`,
    );
  }
  return first;
}

/** Refuses a vector of another length. */
export function expectVector(node: ShapeContext, role: string, length: number): void {
  const weight = weightOf(node, role);
  expect(
    node,
    weight.cols === null && weightRows(weight) === length,
    () =>
      `weight '${weight.slot}' is ${weightRows(weight)} x ${weight.cols ?? 1}; a vector of ${length} elements is wanted`,
  );
}

/** Refuses a width that is not whole heads; answers how many there are. */
export function wholeHeads(node: ShapeContext, shape: Shape, headDim: number): number {
  const heads = columnsOf(shape) / headDim;
  expect(
    node,
    headDim > 0 && Number.isInteger(heads),
    () => `a width of ${columnsOf(shape)} is not whole heads of ${headDim}`,
  );
  return heads;
}

/** States as they read in a refusal: "'x' is mirrored, 'y' is partial". */
const describeInputs = (roles: readonly string[], states: readonly ShardState[]): string =>
  roles.map((role, index) => `'${role}' is ${states[index] ? describeState(states[index]) : 'missing'}`).join(', ');

const describeCut = (weight: Weight): string =>
  weight.cut ? `'${weight.slot}' is cut in ${weight.cut.axis} by '${weight.cut.name}'` : `'${weight.slot}' is whole`;

export const refuse = (have: string, want: string): ShardResult => ({ refuse: { have, want } });

/** Ranks need the same of every input; `count` outputs are divided as they are. Vectors named in `vectors` must be whole. */
export function shardAlike(
  node: ShardContext,
  roles: readonly string[],
  count: number,
  vectors: readonly string[] = [],
): ShardResult {
  const [first] = node.inputs;
  if (!first || !node.inputs.every((state) => sameState(state, first)))
    return refuse(describeInputs(roles, node.inputs), 'inputs divided alike are wanted');
  for (const role of vectors) {
    const vector = node.weights[role];
    if (vector?.cut) return refuse(describeCut(vector), 'a whole weight is wanted');
  }
  return { outputs: Array.from({ length: count }, () => first) };
}

/** Every rank needs all columns of every input; outputs are mirrored. */
export function shardMirrored(
  node: ShardContext,
  roles: readonly string[],
  count: number,
  vectors: readonly string[] = [],
): ShardResult {
  if (node.inputs.some((state) => state.kind !== 'mirrored'))
    return refuse(describeInputs(roles, node.inputs), 'mirrored inputs are wanted');
  return shardAlike(node, roles, count, vectors);
}

/**
 * A matrix product: whole x and cut rows give split columns, split x and columns cut alike give a partial sum. Other inputs
 * than the first do not count here.
 */
export function shardProduct(node: ShardContext, role: string): ShardState | ShardResult {
  const x = node.inputs[0]!;
  const weight = node.weights[role]!;
  const { cut } = weight;
  if (x.kind === 'mirrored' && cut === null) return x;
  if (x.kind === 'mirrored' && cut?.axis === 'rows') return { kind: 'split', cut: cut.name };
  if (x.kind === 'split' && cut?.axis === 'cols' && cut.name === x.cut) return { kind: 'partial' };
  return refuse(
    `'x' is ${describeState(x)}, ${describeCut(weight)}`,
    "mirrored 'x' with a whole matrix or cut rows, or 'x' split like the matrix's columns is wanted",
  );
}

/** What a bias must be so that the sum over ranks carries it once. */
export function biasFits(bias: Weight | undefined, output: ShardState): ShardResult | null {
  if (!bias) return null;
  const fits =
    output.kind === 'split'
      ? bias.cut?.axis === 'rows' && bias.cut.name === output.cut
      : bias.cut === null && (output.kind === 'mirrored' || bias.once === true);
  if (fits) return null;
  const want = output.kind === 'partial' ? 'a bias that only rank 0 holds is wanted' : 'a bias cut alike is wanted';
  return refuse(`the product is ${describeState(output)}, bias ${describeCut(bias)}`, want);
}

export const isState = (result: ShardState | ShardResult): result is ShardState => 'kind' in result;

/** Bytes of the activations an op reads and writes, as float32. */
export const activationBytes = (node: CostContext): number =>
  4 * node.rows * [...node.inputs, ...node.outputs].reduce((sum, shape) => sum + columnsOf(shape), 0);

/** Cost of an op that does `perElement` multiply-accumulates for each element of its first input. */
export const elementCost =
  (perElement: number, ...roles: readonly string[]) =>
  (node: CostContext): Cost => ({
    macs: perElement * node.rows * columnsOf(node.inputs[0]!),
    weightBytes: roles.reduce((sum, role) => sum + (node.weights[role] ? node.weightBytes(role) : 0), 0),
    activationBytes: activationBytes(node),
  });

/** Partial inputs are summed first: what most ops want. */
export const neverPartial = (): boolean => false;
