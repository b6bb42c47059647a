import test from 'ava';
import { compareLogits } from './compare-logits.js';

const expected = { logits: Float32Array.of(1, 2, 3, 3, 2, 1), greedy: [2, 0, 1], vocab: 3 };

test('compareLogits finds equal logits equal', (t) => {
  const comparison = compareLogits(expected, expected);
  t.is(comparison.maxDifference, 0);
  // A cosine of equal vectors is 1 up to rounding: 1e-12; a sign error gives -1.
  t.true(Math.abs(comparison.cosine - 1) < 1e-12);
  t.is(comparison.argmaxAgreement, 1);
  t.is(comparison.greedyAgreement, 1);
});

test('compareLogits tells the largest difference, lost argmax and the first token that differs', (t) => {
  const comparison = compareLogits({ logits: Float32Array.of(1, 2, 3, 3, 2, 5), greedy: [2, 1, 1] }, expected);
  t.is(comparison.maxDifference, 4);
  t.is(comparison.argmaxAgreement, 0.5);
  t.is(comparison.greedyAgreement, 1 / 3);
  t.true(comparison.worstCosine < comparison.cosine);
});

test('compareLogits never takes a NaN for a small difference', (t) => {
  const comparison = compareLogits({ logits: Float32Array.of(1, 2, Number.NaN, 3, 2, 1), greedy: [2, 0, 1] }, expected);
  t.true(Number.isNaN(comparison.maxDifference));
  t.true(Number.isNaN(comparison.cosine));
});
