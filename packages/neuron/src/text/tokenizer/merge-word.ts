import type { MergeTable } from './merge-table.js';

const none = -1;

/** Words up to this many symbols are merged by scanning; longer ones with a heap, in O(n log n). */
const scanLimit = 32;

/** Merges a word's symbols, best pair first and leftmost among equals, and appends what remains to `out`. */
export function mergeWord(symbols: Int32Array, merges: MergeTable, out: number[]): void {
  if (symbols.length <= scanLimit) mergeByScan(symbols, merges, out);
  else mergeByHeap(symbols, merges, out);
}

function mergeByScan(symbols: Int32Array, merges: MergeTable, out: number[]): void {
  let length = symbols.length;
  const ranks = new Int32Array(length);
  for (let i = 0; i + 1 < length; i++) ranks[i] = merges.rank(symbols[i]!, symbols[i + 1]!);
  while (length > 1) {
    let best = none;
    let bestRank = 0;
    for (let i = 0; i + 1 < length; i++) {
      const rank = ranks[i]!;
      if (rank !== none && (best === none || rank < bestRank)) {
        best = i;
        bestRank = rank;
      }
    }
    if (best === none) break;
    symbols[best] = merges.result(symbols[best]!, symbols[best + 1]!);
    symbols.copyWithin(best + 1, best + 2, length);
    ranks.copyWithin(best + 1, best + 2, length);
    length--;
    if (best > 0) ranks[best - 1] = merges.rank(symbols[best - 1]!, symbols[best]!);
    if (best + 1 < length) ranks[best] = merges.rank(symbols[best]!, symbols[best + 1]!);
  }
  for (let i = 0; i < length; i++) out.push(symbols[i]!);
}

function mergeByHeap(symbols: Int32Array, merges: MergeTable, out: number[]): void {
  const count = symbols.length;
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  // Each candidate is rank * count + position: exact in a double, and its order is rank, then leftmost.
  const heap = new CandidateHeap(count * 3);
  const consider = (at: number) => {
    const right = next[at]!;
    if (right >= count) return;
    const rank = merges.rank(symbols[at]!, symbols[right]!);
    if (rank !== none) heap.push(rank * count + at);
  };
  for (let i = 0; i < count; i++) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  for (let i = 0; i + 1 < count; i++) consider(i);

  while (heap.size > 0) {
    const candidate = heap.pop();
    const at = candidate % count;
    const rank = (candidate - at) / count;
    const right = next[at]!;
    // Stale candidates: the symbol was absorbed, or the pair at this place is another one by now.
    if (symbols[at] === none || right >= count) continue;
    if (merges.rank(symbols[at]!, symbols[right]!) !== rank) continue;
    symbols[at] = merges.result(symbols[at]!, symbols[right]!);
    symbols[right] = none;
    const after = next[right]!;
    next[at] = after;
    if (after < count) previous[after] = at;
    const before = previous[at]!;
    if (before !== none) consider(before);
    consider(at);
  }
  for (let i = 0; i < count; i = next[i]!) out.push(symbols[i]!);
}

/** A binary min-heap of numbers in one flat array. */
class CandidateHeap {
  readonly #items: Float64Array;
  size = 0;

  /** `capacity`: every merge adds at most two candidates, so three per symbol are enough. */
  constructor(capacity: number) {
    this.#items = new Float64Array(capacity);
  }

  push(item: number): void {
    const items = this.#items;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (items[parent]! <= item) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = item;
  }

  pop(): number {
    const items = this.#items;
    const top = items[0]!;
    const item = items[--this.size]!;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && items[child + 1]! < items[child]!) child++;
      if (items[child]! >= item) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = item;
    return top;
  }
}
