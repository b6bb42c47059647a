import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { sourceDigest } from './source-digest.js';

test('sourceDigest changes with what is included from anywhere, and with nothing else', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'digest-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write('a.cu', '#include "b.h"\n#include <vector>\n');
  write('b.h', '#include <c.h>\n');
  write('c.h', 'int c;\n');
  const digest = (): string => sourceDigest(join(folder, 'a.cu'), [folder]);
  const first = digest();
  write('d.h', 'int d;\n');
  t.is(digest(), first);
  write('c.h', 'int other;\n');
  t.not(digest(), first);
});
