import test from 'ava';
import type { ParityLine } from './parity-line.js';
import { summaryTable, wrongRefusals } from './summary.js';

const columns = [1, 2, 4].map((ranks) => ({ setting: `cpu:avx2 tp${ranks}`, ranks }));
const figures = { maxDifference: 1.24e-3, cosine: 1, worstCosine: 1, argmaxAgreement: 1, greedyAgreement: 1 };
const line = (ranks: number, more: Partial<ParityLine>): ParityLine => ({
  model: 'm',
  setting: `cpu:avx2 tp${ranks}`,
  case: 'text-7',
  mode: 'whole',
  verdict: 'ok',
  text: '',
  ...more,
});
const refused = (ranks: number, works: readonly number[]) => line(ranks, { verdict: 'refused', works });

test('summaryTable has the worst difference of a setting, failures before it, and refusals', (t) => {
  const lines = [
    line(1, { figures }),
    line(1, { figures: { ...figures, maxDifference: 2e-5 } }),
    line(2, { figures }),
    line(2, { verdict: 'FAIL', figures }),
    refused(4, [1, 2]),
    line(1, { model: 'quantised', figures: { ...figures, maxDifference: 0.4, cosine: 0.99975 } }),
    line(1, { model: 'texts only', setting: '-' }),
  ];
  t.deepEqual(
    summaryTable(lines, columns).map((row) => row.split(/ {2,}/u)),
    [
      ['', 'cpu:avx2 tp1', 'cpu:avx2 tp2', 'cpu:avx2 tp4'],
      ['m', '1.2e-3', 'FAIL 1', 'refused'],
      ['quantised', 'cos 0.999750', '-', '-'],
    ],
  );
});

test('wrongRefusals finds a refusal that names too many rank counts or too few', (t) => {
  t.deepEqual(wrongRefusals([line(1, {}), line(2, {}), refused(4, [1, 2])], columns), []);
  t.is(wrongRefusals([line(1, {}), line(2, {}), refused(4, [1])], columns).length, 1);
  t.is(wrongRefusals([line(1, {}), refused(2, [1, 4]), refused(4, [1])], columns).length, 1);
});
