import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CortexError } from '../errors/cortex-error.js';
import { loadModelsConfig } from './models-config.js';

const load = async (t: ExecutionContext, text: string) => {
  const folder = await mkdtemp(join(tmpdir(), 'models-config-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'models.toml');
  await writeFile(file, text);
  return loadModelsConfig(file);
};

test('loadModelsConfig reads entries, prices and aliases', async (t) => {
  const { config } = await load(
    t,
    '[[models]]\nid = "org/m"\nvram_mb = 10\ncost = { input = 0.5 }\n[aliases]\n"claude-local" = "org/m"\n',
  );
  t.deepEqual(config.models, [
    { id: 'org/m', vram_mb: 10, min_devices: 1, pinned_on: [], capabilities: [], cost: { input: 0.5, output: 0 } },
  ]);
  t.deepEqual(config.aliases, { 'claude-local': 'org/m' });
});

for (const [what, text, line, reason, suggestion] of [
  ['an unknown key', '[[models]]\nid = "m"\nvram = 1\n', 3, /'models.0.vram' is unknown/, /models.0.vram_mb/],
  ['a second entry', '[[models]]\nid = "m"\n[[models]]\nid = "m"\n', 4, /a second entry for 'm'/, undefined],
  ['an alias of an alias', '[aliases]\na = "b"\nb = "m"\n', 2, /'b' is an alias itself/, undefined],
  ['an alias that hides a model', '[[models]]\nid = "m"\n[aliases]\nm = "x"\n', 4, /also the id of a model/, undefined],
  [
    'a negative price',
    '[[models]]\nid = "m"\ncost = { input = -1 }\n',
    3,
    /'models.0.cost.input' is not accepted/,
    undefined,
  ],
  ['a syntax error', '[[models]\n', 1, /./, undefined],
] as const) {
  test(`loadModelsConfig names the line of ${what}`, async (t) => {
    const error = await t.throwsAsync(load(t, text), { instanceOf: CortexError, message: reason });
    t.is((error!.details as { line: number }).line, line);
    if (suggestion) t.regex(error?.suggestion ?? '', suggestion);
  });
}
