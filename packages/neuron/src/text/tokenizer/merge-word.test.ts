import test from 'ava';
import fc from 'fast-check';
import { MergeTable } from './merge-table.js';
import { mergeWord } from './merge-word.js';

/** The definition: while any pair merges, join the leftmost one of the lowest rank. */
function naive(symbols: readonly number[], merges: MergeTable): number[] {
  const word = [...symbols];
  for (;;) {
    let best = -1;
    for (let i = 0; i + 1 < word.length; i++) {
      const rank = merges.rank(word[i]!, word[i + 1]!);
      if (rank >= 0 && (best < 0 || rank < merges.rank(word[best]!, word[best + 1]!))) best = i;
    }
    if (best < 0) return word;
    word.splice(best, 2, merges.result(word[best]!, word[best + 1]!));
  }
}

test('mergeWord joins like the definition, in short words and in long ones', (t) => {
  const pair = fc.tuple(fc.nat(12), fc.nat(12));
  fc.assert(
    fc.property(
      fc.uniqueArray(pair, { selector: ([a, b]) => `${a},${b}`, maxLength: 60 }),
      fc.array(fc.nat(4), { maxLength: 120 }),
      (pairs, symbols) => {
        const merges = new MergeTable(pairs.length);
        // Results are symbols of their own, so that merges build on merges.
        pairs.forEach(([left, right], rank) => {
          merges.add(left, right, rank, 5 + (rank % 8));
        });
        const out: number[] = [];
        mergeWord(Int32Array.from(symbols), merges, out);
        t.deepEqual(out, naive(symbols, merges));
      },
    ),
    { numRuns: 300 },
  );
});
