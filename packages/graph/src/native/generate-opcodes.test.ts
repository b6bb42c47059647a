import { readFileSync } from 'node:fs';
import test from 'ava';
import { renderOpcodesHeader } from './generate-opcodes.js';

test('renderOpcodesHeader gives the committed header', (t) => {
  const committed = readFileSync(new URL('../../native/cortex/generated/opcodes.h', import.meta.url), 'utf8');
  t.is(renderOpcodesHeader(), committed, 'run: npm run generate');
});
