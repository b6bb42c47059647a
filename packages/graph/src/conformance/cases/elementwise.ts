import type { OpName } from '../../opcodes.js';
import type { Attributes } from '../../value.js';
import { type BackendCase, rowsStep } from '../case.js';

const widths = [3, 16, 37, 130];
const steps = [1, 5, 9, 64].map(rowsStep);
const bound = 3e-6;

/** An op of the same element of its inputs; the mutation takes another op, or other attributes, in its place. */
function elementwise(
  op: OpName,
  inputs: number,
  mutation: string,
  wrong: { readonly op?: OpName; readonly attributes?: Attributes },
  attributes: Attributes = {},
): BackendCase[] {
  return widths.map((width) => ({
    name: `${op} of width ${width}${attributes['tanh'] === 0 ? ', exact' : ''}`,
    ops: [op],
    boundOf: op,
    bound,
    vocab: 160,
    steps,
    mutation,
    build(writer, mutated) {
      const values = Array.from({ length: inputs }, (_, index) => writer.input(`x${index}`, width, 2));
      const used = mutated ? (wrong.op ?? op) : op;
      const given = mutated ? { ...attributes, ...wrong.attributes } : attributes;
      return writer.finish(writer.run(used, values, {}, given));
    },
  }));
}

const biasCase: BackendCase = {
  name: 'add_bias of width 37',
  ops: ['add_bias'],
  boundOf: 'add_bias',
  bound,
  vocab: 96,
  steps,
  mutation: 'the bias begins one element later',
  build(writer, mutated) {
    const bias = writer.vector('bias', 37, (index) => Math.sin(index + (mutated ? 1 : 0)));
    return writer.finish(writer.run('add_bias', [writer.input('x', 37)], { bias }));
  },
};

const gateCase: BackendCase = {
  name: 'sigmoid_mul with a gate of one column',
  ops: ['sigmoid_mul'],
  boundOf: 'sigmoid_mul',
  bound,
  vocab: 96,
  steps,
  mutation: 'x is gated by its neighbour of the same matrix',
  build(writer, mutated) {
    const gates = writer.run('linear', [writer.input('z', 24)], { matrix: writer.matrix('gates', [1, 1], 24) })[0]!;
    const gate = writer.segment(gates, mutated ? 0 : 1);
    return writer.finish(writer.run('sigmoid_mul', [writer.input('x', 40), gate], {}, { broadcast: 1 }));
  },
};

/** Fewer columns than the vocabulary: the rest of a row stays as it was. */
const exposedCase: BackendCase = {
  name: 'expose_rows of width 37',
  ops: ['expose_rows'],
  boundOf: 'expose_rows',
  bound,
  vocab: 96,
  steps,
  mutation: 'the rows are doubled',
  build(writer, mutated) {
    const x = writer.input('x', 37);
    return writer.finishRows(mutated ? writer.run('add', [x, x])[0]! : x);
  },
};

export const elementwiseCases: readonly BackendCase[] = [
  ...elementwise('add', 2, 'multiplies', { op: 'mul' }),
  ...elementwise('mul', 2, 'adds', { op: 'add' }),
  ...elementwise('scale', 1, 'scales by 0.5% more', { attributes: { factor: 0.7035 } }, { factor: 0.7 }),
  ...elementwise('silu', 1, 'is the sigmoid', { op: 'sigmoid' }),
  ...elementwise('sigmoid', 1, 'is the silu', { op: 'silu' }),
  ...elementwise('gelu', 1, 'is exact', { attributes: { tanh: 0 } }, { tanh: 1 }),
  ...elementwise('gelu', 1, 'is the tanh form', { attributes: { tanh: 1 } }, { tanh: 0 }),
  ...elementwise('swiglu', 2, 'multiplies', { op: 'mul' }),
  ...elementwise('sigmoid_mul', 2, 'is swiglu', { op: 'swiglu', attributes: {} }, { broadcast: 0 }),
  biasCase,
  gateCase,
  exposedCase,
];
