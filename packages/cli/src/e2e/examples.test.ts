import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { cortexOfTests } from '../testing/cortex-of-tests.js';
import { runProgram } from '../testing/index.js';

const folder = fileURLToPath(new URL('../../../../examples', import.meta.url));
/** What each example must print; an example without a row here fails the first test. */
const prints: Readonly<Record<string, RegExp>> = {
  '01-chat.mjs': /Oslo/,
  '02-remember.mjs': /Your name is Mia/,
  '03-tools.mjs': /calls get_weather\(\{"city": ?"Oslo"\}\)\n.*4 degrees and sunny in Oslo/s,
  '04-program.mjs': /rank 0 of 2/,
  '05-anthropic.mjs': /^\d+ tokens\n.*calls get_weather\(\{"city":"Oslo"\}\)\n.*4 degrees and sunny in Oslo/s,
};
const examples = readdirSync(folder)
  .filter((file) => file.endsWith('.mjs'))
  .sort();

const cortex = cortexOfTests(test);

test('every example is known to this test', (t) => {
  t.deepEqual(examples, Object.keys(prints).sort());
});

for (const example of examples)
  test(`examples/${example} prints what it promises`, async (t) => {
    const end = await runProgram(join(folder, example), [], { env: { CORTEX_URL: cortex().address.url } });
    t.is(end.code, 0, end.stderr);
    t.regex(end.stdout, prints[example] ?? /^$/);
  });
