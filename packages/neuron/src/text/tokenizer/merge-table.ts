const none = -1;

/** Pairs of token ids that merge, with their priority: an open-addressing hash table over flat integers. */
export class MergeTable {
  readonly #mask: number;
  /** left, right, rank, result of each slot; left is -1 where it is free. */
  readonly #slots: Int32Array;

  constructor(capacity: number) {
    let size = 16;
    while (size < capacity * 2) size *= 2;
    this.#mask = size - 1;
    this.#slots = new Int32Array(size * 4).fill(none);
  }

  /** Adds a pair; the first one added of equal pairs stays. */
  add(left: number, right: number, rank: number, result: number): void {
    const at = this.#find(left, right);
    if (this.#slots[at] !== none) return;
    this.#slots[at] = left;
    this.#slots[at + 1] = right;
    this.#slots[at + 2] = rank;
    this.#slots[at + 3] = result;
  }

  /** Priority of a pair, lowest first; -1 when it does not merge. */
  rank(left: number, right: number): number {
    return this.#slots[this.#find(left, right) + 2]!;
  }

  /** Token that a pair becomes; -1 when it does not merge. */
  result(left: number, right: number): number {
    return this.#slots[this.#find(left, right) + 3]!;
  }

  #find(left: number, right: number): number {
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    let slot = (hash ^ (hash >>> 13)) & this.#mask;
    for (;;) {
      const at = slot * 4;
      const found = this.#slots[at];
      if (found === none || (found === left && this.#slots[at + 1] === right)) return at;
      slot = (slot + 1) & this.#mask;
    }
  }
}
