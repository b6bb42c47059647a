import test from 'ava';
import { interleave, perSlice, ratios, type Slice } from './interleave.js';
import { renderMarkdown, renderSvg } from './report.js';
import type { Figure } from './rows.js';
import { median, quantile } from './statistics.js';

const slice = (side: number, value: number, before: number, after: number): Slice => ({ side, value, before, after });

test('quantile lies between neighbours in proportion', (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 2, 3]), 2.5);
  t.is(quantile([10, 20, 30, 40, 50], 0.25), 20);
  t.is(median([]), Number.NaN);
});

test('interleave takes turns A B B A with one probe between any two slices', async (t) => {
  const order: string[] = [];
  let probes = 0;
  const side = (name: string, value: number) => async () => {
    order.push(name);
    return value;
  };
  const probe = async () => ++probes;
  const slices = await interleave([side('a', 1), side('b', 2)], probe, (rounds) => rounds === 2);
  t.is(order.join(''), 'abbaabba');
  t.deepEqual(slices[1], slice(1, 2, 2, 3));
  t.is(probes, 9);
  t.is((await interleave([side('a', 1)], probe, () => true)).length, 2);
});

test('ratios divide neighbours whichever came first, and leave out those with a move in any of three probes', (t) => {
  const slices = [slice(0, 30, 20, 20), slice(1, 10, 20, 20.9), slice(1, 10, 20.9, 20), slice(0, 900, 20, 21.1)];
  t.deepEqual(ratios(slices), { values: [3], steady: 1, taken: 2 });
  const moved = [slice(0, 8, 20, 30), slice(1, 2, 30, 20)];
  t.deepEqual(ratios(moved), { values: [4], steady: 0, taken: 1 });
});

test('perSlice sets a slice beside the mean of its own probes', (t) => {
  const slices = [slice(0, 9, 20, 21), slice(1, 1, 20, 20), slice(0, 9, 10, 20)];
  const samples = perSlice(slices, 0, (value, bandwidth) => value / bandwidth);
  t.deepEqual(samples, { values: [9 / 20.5], steady: 1, taken: 2 });
});

const figure = (values: number[], more: Partial<Figure> = {}): Figure => ({
  what: 'tiny <Q8_0>',
  unit: 'x',
  samples: { values, steady: values.length, taken: 4 },
  ...more,
});

test('renderMarkdown says what was reached, of a share of time by being below', (t) => {
  const lines = renderMarkdown(
    [
      figure([1, 2, 3], { must: 1.5, aim: 3 }),
      figure([1], { must: 1.5, aim: 3 }),
      figure([2], { unit: '%', must: 3, aim: 1 }),
      figure([2], { must: 1, aim: 2, samples: { values: [2], steady: 0, taken: 1 } }),
    ],
    [{ what: 'moe', reason: 'no file' }],
    ['two threads'],
  ).split('\n');
  t.true(lines.includes('- no figures for `moe`: no file'));
  t.true(lines.includes('| tiny <Q8_0> | 2.00x | 1.50x to 2.50x | 1.50x | 3.00x | must | 3 / 4 |'));
  t.regex(lines[6]!, /missed/);
  t.regex(lines[7]!, /\| 2\.00 % \|.*\| must \|/);
  t.regex(lines[8]!, /aim, unsteady/);
});

test('renderSvg draws a bar for each goal only, and the limit where there is one', (t) => {
  const goals = { must: 0.5, aim: 0.75 };
  const svg = renderSvg([figure([1]), figure([0.5], { unit: 'read', ...goals }), figure([0.25], { ...goals })]);
  t.is(svg.match(/<rect x="470"/g)?.length, 2);
  t.is(svg.match(/#c0392b/g)?.length, 1);
  t.true(svg.includes('tiny &lt;Q8_0>'));
});
