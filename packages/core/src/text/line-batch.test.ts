import test from 'ava';
import { LineBatch } from './line-batch.js';

test('LineBatch writes the lines of one turn at once, in order, and none twice', (t) => {
  const written: string[] = [];
  const turns: (() => void)[] = [];
  const batch = new LineBatch({ write: (lines) => void written.push(lines), later: (run) => void turns.push(run) });
  batch.write('a\n');
  batch.write('b\n');
  t.deepEqual([written, turns.length], [[], 1]);
  turns[0]?.();
  t.deepEqual(written, ['a\nb\n']);
  batch.write('c\n');
  batch.flush();
  turns[1]?.();
  t.deepEqual(written, ['a\nb\n', 'c\n']);
});
