import test from 'ava';
import { seededRandom } from './seeded-random.js';

test('seededRandom gives the numbers of its source, the same for a seed of 32 bits with and without its sign', (t) => {
  const words = (seed: number) => {
    const next = seededRandom(seed);
    return Array.from({ length: 4 }, () => next() * 2 ** 32);
  };
  t.deepEqual(words(0xffff_ffff), words(-1));
  t.notDeepEqual(words(1), words(2));
  t.deepEqual(words(1), [2_693_262_067, 11_749_833, 2_265_367_787, 4_213_581_821]);
});
