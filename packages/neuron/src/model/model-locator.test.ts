import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { checkModelId, locateConfigured, locateModel } from './model-locator.js';
import { scanModels } from './model-scan.js';

async function modelsFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cortex-models-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const path of ['plain', 'org/name', 'empty']) await mkdir(join(folder, path), { recursive: true });
  for (const path of ['plain', 'org/name']) {
    await writeFile(join(folder, path, 'config.json'), '{}');
    await writeFile(join(folder, path, 'model.safetensors'), '');
  }
  await writeFile(join(folder, 'file.gguf'), '');
  return folder;
}

test('checkModelId takes names and org/name, and nothing that could be a path elsewhere', (t) => {
  for (const id of ['a', 'org/name', 'Qwen3-0.6B', 'a..b', 'name with space']) t.notThrows(() => checkModelId(id), id);
  const bad = [
    '',
    '.',
    '..',
    '../a',
    'a/..',
    'a/../b',
    '/etc',
    'a//b',
    'a/',
    '/a',
    'a\\b',
    'a\0',
    'a\nb',
    'C:\\x',
    'c:x',
    'a/b/c',
    '.git',
  ];
  for (const id of bad) t.throws(() => checkModelId(id), { code: 'model_id_invalid' }, JSON.stringify(id));
});

test('checkModelId lets no id leave the models folder', (t) => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('..', '.', '/', 'a', '\\', '\0', 'b', '%2e'), { maxLength: 8 }), (parts) => {
      const id = parts.join('');
      try {
        checkModelId(id);
      } catch {
        return true;
      }
      return join('/models', id).startsWith('/models/') && !id.split('/').includes('..');
    }),
  );
  t.pass();
});

test('locateModel finds folders and gguf files by id', async (t) => {
  const folder = await modelsFolder(t);
  t.is((await locateModel('org/name', [folder])).path, join(folder, 'org/name'));
  t.is((await locateModel('file', ['/nonexistent', folder])).path, join(folder, 'file.gguf'));
  await t.throwsAsync(locateModel('absent', [folder]), { code: 'model_not_found' });
});

test('locateConfigured takes an absolute path, and names the model by its last part', async (t) => {
  const folder = await modelsFolder(t);
  t.deepEqual(await locateConfigured(join(folder, 'file.gguf'), []), { id: 'file', path: join(folder, 'file.gguf') });
  await t.throwsAsync(locateConfigured(join(folder, 'absent'), []), { code: 'model_not_found' });
});

test('scanModels lists what looks like a model, and nothing of a folder that is not there', async (t) => {
  const folder = await modelsFolder(t);
  const found = await scanModels([folder, '/nonexistent']);
  t.deepEqual(
    found.map(({ id }) => id),
    ['file', 'org/name', 'plain'],
  );
});
