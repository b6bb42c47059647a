import test from 'ava';
import { checkSources } from './check-sources.js';

const names = new Map([
  ['@helexa/core', 'core'],
  ['@helexa/graph', 'graph'],
  ['@helexa/neuron', 'neuron'],
]);
const file = (path: string, text: string) => ({
  packageName: path.split('/')[0]!,
  path,
  text,
  isTest: path.endsWith('.test.ts'),
});
const reasons = (...files: ReturnType<typeof file>[]) => checkSources(files, names).map(({ reason }) => reason);

test('checkSources lets imports follow the arrows', (t) => {
  t.deepEqual(reasons(file('graph/src/a.ts', "import { x } from '@helexa/core';\nimport { y } from './b.js';")), []);
});

test('checkSources refuses an import against the arrows, but for tests', (t) => {
  const text = "import type { x } from '@helexa/neuron';";
  t.regex(reasons(file('graph/src/a.ts', text))[0]!, /does not import 'neuron'/);
  t.deepEqual(reasons(file('graph/src/a.test.ts', text)), []);
  t.regex(reasons(file('graph/src/a.ts', "const m = await import('@helexa/neuron');"))[0]!, /does not import/);
});

test('checkSources refuses to reach into another package', (t) => {
  t.regex(reasons(file('graph/src/a.ts', "import { x } from '@helexa/core/dist/x.js';"))[0]!, /reaches into/);
  t.regex(reasons(file('graph/src/a.ts', "import { x } from '../../core/src/x.js';"))[0]!, /leaves the package/);
});

test('checkSources finds a cycle of files, and none in imports of types', (t) => {
  const a = file('core/src/a.ts', "import { b } from './b.js';");
  t.regex(reasons(a, file('core/src/b.ts', "import { a } from './a.js';"))[0]!, /core\/src\/a\.ts -> core\/src\/b\.ts/);
  t.deepEqual(reasons(a, file('core/src/b.ts', "import type { A } from './a.js';")), []);
  t.deepEqual(reasons(a, file('core/src/b.ts', "import { type A, type B } from './a.js';")), []);
});

test('checkSources finds an architecture named in shared code, but not in its comments', (t) => {
  t.regex(reasons(file('neuron/src/a.ts', "if (name === 'qwen3') {}"))[0]!, /'qwen'/);
  t.deepEqual(reasons(file('neuron/src/a.ts', '/** Such as qwen3. */\n// and llama\nconst x = 1;')), []);
});
