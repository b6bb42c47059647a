import type { WeightFormat } from '@helexa/core';
import { weightFormats } from '../../formats/index.js';
import { type BackendCase, rowCounts, rowsStep } from '../case.js';

const steps = rowCounts.map(rowsStep);

/**
 * Backends may round activations to bfloat16 for bfloat16 weights, to half floats for half floats and to 8-bit blocks for
 * block formats; the sums are float32.
 */
export const productBounds: Readonly<Record<WeightFormat, number>> = {
  F32: 1e-5,
  F16: 5e-3,
  BF16: 3e-2,
  Q8_0: 6e-2,
  Q4_0: 6e-2,
  Q4_K: 6e-2,
  Q5_K: 6e-2,
  Q6_K: 6e-2,
};

const isK = (format: WeightFormat): boolean => format.endsWith('_K');
const isBlock = (format: WeightFormat): boolean => format.startsWith('Q');

/** Input widths that are legal for a format, from the smallest. */
const widthsOf = (format: WeightFormat): readonly number[] =>
  isK(format) ? [256, 768] : isBlock(format) ? [32, 96, 320] : [16, 37, 200];

function linear(format: WeightFormat, cols: number): BackendCase {
  return {
    name: `linear of ${format} weights, ${cols} columns, three segments and a bias`,
    ops: ['linear'],
    boundOf: `linear.${format}`,
    bound: productBounds[format],
    vocab: 128,
    steps,
    mutation: 'the last two segments are exchanged',
    build(writer, mutated) {
      const rows = [33, 19, 19];
      const matrix = writer.matrix('w', rows, cols, { format });
      const [first, second, third] = matrix.segments;
      const segments = mutated ? [first!, third!, second!] : matrix.segments;
      const bias = writer.vector('bias', 71, (index) => Math.cos(index));
      return writer.finish(writer.run('linear', [writer.input('x', cols)], { matrix: { ...matrix, segments }, bias }));
    },
  };
}

function normThenLinear(format: WeightFormat): BackendCase {
  const cols = isK(format) ? 256 : 64;
  return {
    name: `rms_norm read by two linears of ${format} weights, added to a residual`,
    ops: ['rms_norm', 'linear', 'add'],
    boundOf: `linear_add.${format}`,
    bound: productBounds[format],
    vocab: 128,
    steps,
    mutation: 'the residual counts half',
    build(writer, mutated) {
      const weight = writer.vector('norm', cols);
      const x = writer.run('rms_norm', [writer.input('x', cols)], { weight }, { eps: 1e-6 })[0]!;
      const residual = writer.input('residual', 45, mutated ? 0.5 : 1);
      const matrix = writer.matrix('w', [45], cols, { format });
      const product = writer.run('linear', [x], { matrix })[0]!;
      const sum = writer.run('add', [residual, product])[0]!;
      const other = writer.run('linear', [x], { matrix: writer.matrix('v', [24], cols, { format }) })[0]!;
      return writer.finish([sum, other]);
    },
  };
}

function gatedProduct(format: WeightFormat): BackendCase {
  const cols = isK(format) ? 512 : 96;
  return {
    name: `linear and swiglu of ${format} weights`,
    ops: ['linear', 'swiglu'],
    boundOf: `linear_swiglu.${format}`,
    bound: 1.5 * productBounds[format],
    vocab: 128,
    steps,
    mutation: 'gate and up are exchanged',
    build(writer, mutated) {
      const matrix = writer.matrix('w', [52, 52], cols, { format, scale: 2 / Math.sqrt(cols) });
      const both = writer.run('linear', [writer.input('x', cols)], { matrix })[0]!;
      const parts = [writer.segment(both, mutated ? 1 : 0), writer.segment(both, mutated ? 0 : 1)];
      return writer.finish(writer.run('swiglu', parts));
    },
  };
}

/** Rows of a table are looked up as they are stored: exact but for the storage of activations. */
function lookUp(format: WeightFormat): BackendCase {
  const cols = isK(format) ? 256 : isBlock(format) ? 96 : 45;
  return {
    name: `embed from a table of ${format}`,
    ops: ['embed'],
    boundOf: `embed.${format}`,
    bound: 1e-6,
    vocab: 272,
    steps: [1, 9, 64].map(rowsStep),
    mutation: 'the vocabulary begins one token later',
    build(writer, mutated) {
      const table = writer.matrix('table', [writer.vocab], cols, { format, scale: 1, lookup: true });
      return writer.finish(writer.run('embed', [], { table }, { vocabStart: mutated ? 1 : 0 }));
    },
  };
}

export const linearCases: readonly BackendCase[] = weightFormats.flatMap((format) => [
  ...widthsOf(format).map((cols) => linear(format, cols)),
  normThenLinear(format),
  gatedProduct(format),
  lookUp(format),
]);
