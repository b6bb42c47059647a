import test from 'ava';
import type { CortexError } from '../errors/cortex-error.js';
import { parseQuant } from './quant-name.js';

test('parseQuant knows a format by its name in any case, with or without underscores and suffix', (t) => {
  for (const name of ['q4k', 'Q4_K', 'q4_k_m', 'Q4_K_S', 'q4-k-l']) t.is(parseQuant(name), 'Q4_K', name);
  for (const name of ['q4_0', 'Q40', 'q4-0']) t.is(parseQuant(name), 'Q4_0', name);
  t.deepEqual(['q5k', 'q6k', 'q8_0'].map(parseQuant), ['Q5_K', 'Q6_K', 'Q8_0']);
});

test('parseQuant refuses a name it does not know and offers the nearest', (t) => {
  for (const [name, nearest] of [
    ['q4_1', 'q4_0'],
    ['q9_0', 'q4_0'],
    ['q7k', 'q4k'],
  ] as const) {
    const error = t.throws<CortexError>(() => parseQuant(name));
    t.is(error.code, 'quant_unknown');
    t.is(error.suggestion, `Did you mean '${nearest}'?`);
  }
  const error = t.throws<CortexError>(() => parseQuant('something else'));
  t.is(error.suggestion, undefined);
  t.regex(error.message, /'something else'.*q4_0, q4k, q5k, q6k, q8_0/u);
});
