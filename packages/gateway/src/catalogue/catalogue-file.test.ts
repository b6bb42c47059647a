import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import { CatalogueFile } from './catalogue-file.js';

const begin = async (t: ExecutionContext) => {
  const folder = await mkdtemp(join(tmpdir(), 'catalogue-'));
  const file = join(folder, 'models.toml');
  await writeFile(file, '[[models]]\nid = "a"\n');
  const clock = new FakeClock();
  const seen: (readonly string[])[] = [];
  const errors: unknown[] = [];
  /** Settles when something was seen or refused. */
  let told = (): void => {};
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      told = resolve;
    });
  const catalogue = new CatalogueFile({
    file,
    clock,
    intervalMs: 2000,
    onChange: ({ entries }) => {
      seen.push([...entries.keys()]);
      told();
    },
    onError: (error) => {
      errors.push(error);
      told();
    },
  });
  t.teardown(async () => {
    await catalogue.close();
    await rm(folder, { recursive: true });
  });
  await catalogue.start();
  return { file, clock, seen, errors, next, catalogue };
};

test('CatalogueFile sees a file that another one takes the place of', async (t) => {
  const { file, clock, seen, next } = await begin(t);
  await writeFile(`${file}.new.toml`, '[[models]]\nid = "b"\n');
  await rename(`${file}.new.toml`, file);
  const change = next();
  await clock.advance(2000);
  await change;
  t.deepEqual(seen, [['a'], ['b']]);
});

test('CatalogueFile reports a file that cannot be used, and takes up the next one that can', async (t) => {
  const { file, seen, errors, catalogue } = await begin(t);
  await writeFile(file, 'nonsense');
  t.truthy(await catalogue.reload());
  await rm(file);
  t.truthy(await catalogue.reload());
  await writeFile(file, '[[models]]\nid = "c"\n');
  t.is(await catalogue.reload(), undefined);
  t.deepEqual([seen, errors.length], [[['a'], ['c']], 2]);
});

test('CatalogueFile tells nothing after its end', async (t) => {
  const { file, seen, catalogue, clock } = await begin(t);
  await catalogue.close();
  await writeFile(file, '[[models]]\nid = "d"\n');
  await catalogue.reload();
  t.deepEqual([seen, clock.pending], [[['a']], 0]);
});
