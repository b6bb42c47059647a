import test from 'ava';
import { parseAmount } from './parse-amount.js';

test('parseAmount knows decimal and binary units, with and without a blank', (t) => {
  t.is(parseAmount('24GiB', 'B'), 24 * 2 ** 30);
  t.is(parseAmount('1.5 gib', 'B'), 1.5 * 2 ** 30);
  t.is(parseAmount('80 GB', 'B'), 80e9);
  t.is(parseAmount('123', 'B'), 123);
  t.is(parseAmount('50GB/s', 'B/s'), 50e9);
  t.is(parseAmount('2T', 'op/s'), 2e12);
});

test('parseAmount takes nothing else', (t) => {
  for (const text of ['', 'GiB', '-1GiB', '0', '1e9', '24GiB/s', '1.GiB', '24Gib it', 'NaN'])
    t.is(parseAmount(text, 'B'), undefined, text);
});
