import test from 'ava';
import { bytesInWords, durationInWords, table } from './table.js';

test('table aligns columns and leaves no space at the end of a line', (t) => {
  t.is(
    table(
      ['id', 'state'],
      [
        ['a-long-name', 'ok'],
        ['b', ''],
      ],
      false,
    ),
    'id           state\na-long-name  ok\nb',
  );
});

test('table writes no escape sequence unless it is styled', (t) => {
  t.false(table(['a'], [], false).includes('\u001b'));
});

test('bytesInWords takes the largest unit that fits', (t) => {
  t.deepEqual([0, 1023, 1024, 1536, 10632320, 150 * 2 ** 20, 3 * 2 ** 30].map(bytesInWords), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '10.1 MiB',
    '150 MiB',
    '3.0 GiB',
  ]);
});

test('durationInWords takes the two largest units', (t) => {
  const words = [0, 0.4, 59, 60, 3661, 90_000, 172_800].map(durationInWords);
  t.deepEqual(words, ['0 s', '0 s', '59 s', '1 min', '1 h 1 min', '1 d 1 h', '2 d']);
});
