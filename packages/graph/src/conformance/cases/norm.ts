import { type BackendCase, rowsStep } from '../case.js';

const steps = [1, 3, 8, 65].map(rowsStep);
const bound = 1e-5;
const eps = 1e-3;

const wholeRow = (width: number): BackendCase => ({
  name: `rms_norm of width ${width}`,
  ops: ['rms_norm'],
  boundOf: 'rms_norm',
  bound,
  vocab: 272,
  steps,
  mutation: 'eps is ten times larger',
  build(writer, mutated) {
    const weight = writer.vector('norm', width);
    const x = writer.input('x', width, 0.3);
    return writer.finish(writer.run('rms_norm', [x], { weight }, { eps: mutated ? 10 * eps : eps }));
  },
});

const addThenNorm = (width: number): BackendCase => ({
  name: `add and rms_norm of width ${width}, both read`,
  ops: ['add', 'rms_norm'],
  boundOf: 'add_rms_norm',
  bound,
  vocab: 272,
  steps,
  mutation: 'the norm is of the residual alone',
  build(writer, mutated) {
    const weight = writer.vector('norm', width);
    const residual = writer.input('residual', width);
    const sum = writer.run('add', [residual, writer.input('delta', width)])[0]!;
    const y = writer.run('rms_norm', [mutated ? residual : sum], { weight }, { eps })[0]!;
    return writer.finish([sum, y]);
  },
});

const headNorm = (headDim: number): BackendCase => ({
  name: `head_norm of heads of ${headDim}`,
  ops: ['head_norm'],
  boundOf: 'head_norm',
  bound,
  vocab: 256,
  steps,
  mutation: 'two heads are normalised as one',
  build(writer, mutated) {
    const size = mutated ? 2 * headDim : headDim;
    const weight = writer.vector('norm', size, (index) => 1 + (index % headDim) / 10);
    return writer.finish(writer.run('head_norm', [writer.input('x', 4 * headDim)], { weight }, { headDim: size, eps }));
  },
});

const gated: BackendCase = {
  name: 'rms_norm_gated of heads of 32',
  ops: ['rms_norm_gated'],
  boundOf: 'rms_norm_gated',
  bound,
  vocab: 128,
  steps,
  mutation: 'x is the gate of z',
  build(writer, mutated) {
    const weight = writer.vector('norm', 32);
    const values = [writer.input('x', 96), writer.input('z', 96)];
    if (mutated) values.reverse();
    return writer.finish(writer.run('rms_norm_gated', values, { weight }, { headDim: 32, eps }));
  },
};

const layerNorm: BackendCase = {
  name: 'layer_norm of width 72',
  ops: ['layer_norm'],
  boundOf: 'layer_norm',
  bound,
  vocab: 96,
  steps,
  mutation: 'weight and bias are exchanged',
  build(writer, mutated) {
    const weight = writer.vector(mutated ? 'bias' : 'weight', 72);
    const bias = writer.vector(mutated ? 'weight' : 'bias', 72);
    return writer.finish(writer.run('layer_norm', [writer.input('x', 72)], { weight, bias }, { eps: 1e-6 }));
  },
};

export const normCases: readonly BackendCase[] = [
  ...[16, 37, 256].map(wholeRow),
  ...[48, 100].map(addThenNorm),
  ...[16, 64].map(headNorm),
  gated,
  layerNorm,
];
