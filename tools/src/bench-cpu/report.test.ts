import test from 'ava';
import { median } from './median.js';
import { renderMarkdown, renderSvg, summarise } from './report.js';

const own = (prefill: number, decode: number, readBandwidth: number) => ({
  prefill,
  decode,
  readBandwidth,
  fraction: 0.5,
});

test('median takes the middle, and the mean of two middles', (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 2, 3]), 2.5);
  t.is(median([]), Number.NaN);
});

test('summarise leaves out rounds in which the machine moved, and divides medians', (t) => {
  const steady = { ours: [own(100, 10, 20), own(120, 12, 20.9)], theirs: [{ prefill: 50, decode: 10 }] };
  const moved = { ours: [own(900, 90, 20), own(900, 90, 21.1)], theirs: [{ prefill: 1, decode: 1 }] };
  const row = summarise({ name: 'm', rounds: [steady, moved] });
  t.is(row.kept, 1);
  t.is(row.discarded, 1);
  t.is(row.prefill, 110);
  t.is(row.prefillRatio, 2.2);
  t.is(row.decodeRatio, 1.1);
  t.is(summarise({ name: 'm', rounds: [{ ...steady, theirs: [] }] }).decodeRatio, null);
});

test('renderMarkdown and renderSvg show every row', (t) => {
  const row = summarise({ name: 'tiny Q8_0', rounds: [{ ours: [own(100, 10, 20)], theirs: [] }] });
  const text = renderMarkdown([row], ['two threads']);
  t.regex(text, /^- two threads\n/);
  t.true(text.includes('| tiny Q8_0 | 100.0 | - | 10.0 | - | 0.50 | 1 / 0 |'));
  t.true(renderSvg([row]).includes('tiny Q8_0'));
});
