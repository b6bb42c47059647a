/** A small fast generator (xoroshiro64*) that fills buffers; the same seed gives the same model. */
export class RandomWords {
  #a: number;
  #b: number;

  constructor(seed: number) {
    this.#a = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
    this.#b = Math.imul(seed ^ 0x7f4a7c15, 0xc2b2ae35) | 2;
    for (let i = 0; i < 16; i++) this.next();
  }

  next(): number {
    const word = new Uint32Array(1);
    this.fill(word);
    return word[0]!;
  }

  fill(words: Uint32Array): void {
    let a = this.#a;
    let b = this.#b;
    for (let i = 0; i < words.length; i++) {
      const result = Math.imul(a, 0x9e3779bb);
      const mixed = b ^ a;
      a = ((a << 26) | (a >>> 6)) ^ mixed ^ (mixed << 9);
      b = (mixed << 13) | (mixed >>> 19);
      // The lowest bits of the product are weak.
      words[i] = result ^ (result >>> 16);
    }
    this.#a = a;
    this.#b = b;
  }
}
