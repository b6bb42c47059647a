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
 * a row's result does not depend on how many rows there are; several sums run abreast to hide their latency.
 */
export function multiplyRows(
  rows: number,
  x: Matrix,
  w: Float32Array,
  first: number,
  features: number,
  y: Matrix,
): void {
  const whole = features - (features % 4);
  let row = 0;
  for (; row + 2 <= rows; row += 2) multiplyPair(row, x, w, first, whole, y);
  if (row < rows) multiplyOne(row, x, w, first, whole, y);
  for (row = 0; row < rows; row++) {
    const from = x.offset + row * x.stride;
    for (let f = whole; f < features; f++) {
      const at = (first + f) * x.width;
      let sum = 0;
      for (let c = 0; c < x.width; c++) sum += x.data[from + c]! * w[at + c]!;
      y.data[y.offset + row * y.stride + f] = sum;
    }
  }
}

/** Two rows by four features at a time. */
function multiplyPair(row: number, x: Matrix, w: Float32Array, first: number, features: number, y: Matrix): void {
  const cols = x.width;
  const data = x.data;
  const out = y.data;
  const fromA = x.offset + row * x.stride;
  const fromB = fromA + x.stride;
  const toA = y.offset + row * y.stride;
  const toB = toA + y.stride;
  for (let f = 0; f < features; f += 4) {
    const w0 = (first + f) * cols;
    const w1 = w0 + cols;
    const w2 = w1 + cols;
    const w3 = w2 + cols;
    let a0 = 0;
    let a1 = 0;
    let a2 = 0;
    let a3 = 0;
    let b0 = 0;
    let b1 = 0;
    let b2 = 0;
    let b3 = 0;
    for (let c = 0; c < cols; c++) {
      const a = data[fromA + c]!;
      const b = data[fromB + c]!;
      const v0 = w[w0 + c]!;
      const v1 = w[w1 + c]!;
      const v2 = w[w2 + c]!;
      const v3 = w[w3 + c]!;
      a0 += a * v0;
      a1 += a * v1;
      a2 += a * v2;
      a3 += a * v3;
      b0 += b * v0;
      b1 += b * v1;
      b2 += b * v2;
      b3 += b * v3;
    }
    out[toA + f] = a0;
    out[toA + f + 1] = a1;
    out[toA + f + 2] = a2;
    out[toA + f + 3] = a3;
    out[toB + f] = b0;
    out[toB + f + 1] = b1;
    out[toB + f + 2] = b2;
    out[toB + f + 3] = b3;
  }
}

/** One row by four features at a time: a decode, or the last row of an odd number. */
function multiplyOne(row: number, x: Matrix, w: Float32Array, first: number, features: number, y: Matrix): void {
  const cols = x.width;
  const data = x.data;
  const out = y.data;
  const from = x.offset + row * x.stride;
  const to = y.offset + row * y.stride;
  for (let f = 0; f < features; f += 4) {
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
}
