import type { Matrix, ReferenceContext } from '../op.js';

/** The one tensor of a vector role. */
export const vectorOf = (context: ReferenceContext, role: string): Float32Array => context.weight(role)[0]!.data;

/** y = weight * x / sqrt(mean(x^2) + eps) over each run of `size` elements of each row; the weight repeats for every run. */
export function normaliseRuns(
  rows: number,
  x: Matrix,
  y: Matrix,
  weight: Float32Array,
  size: number,
  eps: number,
): void {
  for (let row = 0; row < rows; row++) {
    for (let start = 0; start < x.width; start += size) {
      const from = x.offset + row * x.stride + start;
      const to = y.offset + row * y.stride + start;
      let squares = 0;
      for (let c = 0; c < size; c++) squares += x.data[from + c]! * x.data[from + c]!;
      const factor = 1 / Math.sqrt(squares / size + eps);
      for (let c = 0; c < size; c++) y.data[to + c] = weight[c]! * (x.data[from + c]! * factor);
    }
  }
}
