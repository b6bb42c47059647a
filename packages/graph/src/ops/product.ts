import type { Cost, CostContext, Matrix, ReferenceTensor, Shape, ShapeContext } from '../op.js';
import { activationBytes, columnsOf, expect, inputShape, weightOf, weightRows } from './rules.js';

/** Output of a matrix product: the rows of x, a segment of columns for each segment of the matrix. */
export function productShape(node: ShapeContext): Shape {
  const x = inputShape(node, 0);
  const matrix = weightOf(node, 'matrix');
  expect(
    node,
    matrix.cols === columnsOf(x),
    () => `'${matrix.slot}' has ${matrix.cols ?? 1} columns; ${columnsOf(x)}, the width of the input, are wanted`,
  );
  return { rows: x.rows, segments: matrix.segments.map((segment) => segment.rows) };
}

export function productCost(node: CostContext): Cost {
  const matrix = weightOf(node, 'matrix');
  return {
    macs: node.rows * weightRows(matrix) * (matrix.cols ?? 1),
    weightBytes: node.weightBytes('matrix') + (node.weights['bias'] ? node.weightBytes('bias') : 0),
    activationBytes: activationBytes(node),
  };
}

/** y = x . W^T + bias, the rows of all segments one after another. y may not overlap x. */
export function multiply(
  rows: number,
  x: Matrix,
  segments: readonly ReferenceTensor[],
  bias: Float32Array | null,
  y: Matrix,
): void {
  let column = 0;
  for (const { rows: features, data } of segments) {
    multiplyRows(rows, x, data, 0, features, { ...y, offset: y.offset + column });
    column += features;
  }
  if (!bias) return;
  for (let row = 0; row < rows; row++) {
    const at = y.offset + row * y.stride;
    for (let c = 0; c < column; c++) y.data[at + c]! += bias[c]!;
  }
}

/**
 * The `features` dot products of each row of x with the rows of W from `first` on. Every product sums in column order, so
 * a row's result does not depend on how many rows there are; four run abreast to hide the latency of the sum.
 */
export function multiplyRows(
  rows: number,
  x: Matrix,
  w: Float32Array,
  first: number,
  features: number,
  y: Matrix,
): void {
  const cols = x.width;
  const data = x.data;
  const out = y.data;
  for (let row = 0; row < rows; row++) {
    const from = x.offset + row * x.stride;
    const to = y.offset + row * y.stride;
    let f = 0;
    for (; f + 4 <= features; f += 4) {
      const w0 = (first + f) * cols;
      const w1 = w0 + cols;
      const w2 = w1 + cols;
      const w3 = w2 + cols;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let c = 0; c < cols; c++) {
        const value = data[from + c]!;
        s0 += value * w[w0 + c]!;
        s1 += value * w[w1 + c]!;
        s2 += value * w[w2 + c]!;
        s3 += value * w[w3 + c]!;
      }
      out[to + f] = s0;
      out[to + f + 1] = s1;
      out[to + f + 2] = s2;
      out[to + f + 3] = s3;
    }
    for (; f < features; f++) {
      const at = (first + f) * cols;
      let sum = 0;
      for (let c = 0; c < cols; c++) sum += data[from + c]! * w[at + c]!;
      out[to + f] = sum;
    }
  }
}
