import type { Matrix, ReferenceContext } from '../op.js';
import { pageTokens } from '../program.js';
import { pageOf, sequencesOf } from './sequences.js';

/** Writes a step's keys and values, each [rows, kvHeads * headDim], into the pages of each row's sequence. */
export function appendToCache(context: ReferenceContext, layer: number, k: Matrix, v: Matrix): void {
  const cache = context.cache(layer);
  const { kvHeads, headDim } = cache;
  for (const { slot, row, rows, length } of sequencesOf(context.step)) {
    for (let i = 0; i < rows; i++) {
      const token = length - rows + i;
      const page = pageOf(context.step, slot, token);
      for (let head = 0; head < kvHeads; head++) {
        const to = cache.at(page, token % pageTokens, head);
        const fromK = k.offset + (row + i) * k.stride + head * headDim;
        const fromV = v.offset + (row + i) * v.stride + head * headDim;
        for (let c = 0; c < headDim; c++) {
          cache.keys[to + c] = cache.round(k.data[fromK + c]!);
          cache.values[to + c] = cache.round(v.data[fromV + c]!);
        }
      }
    }
  }
}
