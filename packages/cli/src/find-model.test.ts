import { mkdtempSync, realpathSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CortexError } from '@helexa/core';
import test from 'ava';
import { demonstrationPlaces, findModel } from './find-model.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'cortex-find-')));
test.before(async () => {
  await mkdir(join(folder, 'org/one'), { recursive: true });
  await writeFile(join(folder, 'two.gguf'), '');
});
test.after.always(() => rm(folder, { recursive: true }));

test('findModel takes a path as it stands', async (t) => {
  const found = await findModel(join(folder, 'org/one'), []);
  t.deepEqual(found, { path: join(folder, 'org/one'), id: 'one', configured: join(folder, 'org/one') });
});

test('findModel looks an id up below the models folders', async (t) => {
  const found = await findModel('org/one', ['/nonexistent', folder]);
  t.deepEqual(found, { path: join(folder, 'org/one'), id: 'org/one', configured: 'org/one' });
});

test('findModel leaves the ending of a .gguf file out of its id', async (t) => {
  const path = join(folder, 'two.gguf');
  t.deepEqual(await findModel(path, []), { path, id: 'two', configured: path });
  t.deepEqual(await findModel('two', [folder]), { path, id: 'two', configured: 'two' });
});

test('findModel names what there is when the id is unknown', async (t) => {
  const error = await t.throwsAsync(findModel('three', [folder]), { instanceOf: CortexError });
  t.is(error?.code, 'model_not_found');
  t.is(error?.suggestion, 'Available models: org, two.gguf');
});

test('findModel without a model gives the first demonstration model that is there', async (t) => {
  await writeFile(join(folder, 'org/one/config.json'), '{}');
  t.is((await findModel(undefined, [], ['/nonexistent', join(folder, 'org/one')])).id, 'one');
  t.is((await findModel(undefined, [])).id, 'cortex-tiny');
  t.is(demonstrationPlaces.length, 2);
});

test('findModel says when not even the demonstration model is there', async (t) => {
  const error = await t.throwsAsync(findModel(undefined, [], ['/nonexistent']), { instanceOf: CortexError });
  t.is(error?.message, "Cannot find model 'cortex-tiny'");
});
