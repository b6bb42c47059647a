import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CortexError } from '../errors/cortex-error.js';
import { type GgufField, makeGguf } from '../testing/make-gguf.js';
import { makeSafetensors } from '../testing/make-safetensors.js';
import { openCheckpoint } from './open-checkpoint.js';

const tensor = (name: string) => ({ name, dtype: 'F16', shape: [4], bytes: new Uint8Array(8) });
const part = (...names: string[]) => makeSafetensors(names.map(tensor));
const config = '{"model_type":"llama"}';

const folder = async (t: ExecutionContext, files: Record<string, string | Uint8Array>): Promise<string> => {
  const path = await mkdtemp(join(tmpdir(), 'checkpoint-'));
  t.teardown(() => rm(path, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
  return path;
};

const refusal = async (
  t: ExecutionContext,
  path: string,
  reason: RegExp,
  code = 'checkpoint_invalid',
): Promise<void> => {
  const error = await t.throwsAsync(openCheckpoint(path), { instanceOf: CortexError });
  t.is(error?.code, code as never);
  t.regex(error?.message ?? '', reason);
};

const index = (map: Record<string, unknown>) => JSON.stringify({ metadata: {}, weight_map: map });

test('openCheckpoint joins the shards that an index names', async (t) => {
  const path = await folder(t, {
    'config.json': config,
    'model.safetensors.index.json': index({ a: 'one.safetensors', b: 'two.safetensors' }),
    'one.safetensors': part('a'),
    'two.safetensors': part('b'),
    'consolidated.safetensors': part('z'),
  });
  const checkpoint = await openCheckpoint(path);
  t.is(checkpoint.kind, 'safetensors');
  t.deepEqual([...checkpoint.tensors.keys()], ['a', 'b']);
  t.is(checkpoint.tensors.get('b')!.file, join(path, 'two.safetensors'));
  t.deepEqual(checkpoint.config, { model_type: 'llama' });
});

for (const name of ['../secret.safetensors', '/etc/passwd', 'sub/x.safetensors', '..', '', 'a\\b', 'a\0b', 7]) {
  test(`openCheckpoint refuses the index entry ${JSON.stringify(name)}`, async (t) => {
    const path = await folder(t, {
      'config.json': config,
      'model.safetensors.index.json': index({ a: name }),
      'one.safetensors': part('a'),
    });
    await refusal(t, path, /in the same folder is wanted/);
  });
}

test('openCheckpoint refuses an index that disagrees with its shards', async (t) => {
  const shards = { 'config.json': config, 'one.safetensors': part('a'), 'two.safetensors': part('b') };
  const absent = index({ a: 'one.safetensors', c: 'two.safetensors' });
  await refusal(t, await folder(t, { ...shards, 'model.safetensors.index.json': absent }), /'c' is not in 'two/);
  const swapped = index({ a: 'two.safetensors', b: 'one.safetensors' });
  await refusal(t, await folder(t, { ...shards, 'model.safetensors.index.json': swapped }), /where the index has it/);
  const short = index({ a: 'one.safetensors' });
  const both = { ...shards, 'one.safetensors': part('a', 'b') };
  await refusal(t, await folder(t, { ...both, 'model.safetensors.index.json': short }), /'b' is not in the index/);
});

test('openCheckpoint joins numbered parts without an index and names an absent one', async (t) => {
  const parts = {
    'config.json': config,
    'm-00001-of-00002.safetensors': part('a'),
    'm-00002-of-00002.safetensors': part('b'),
  };
  t.deepEqual([...(await openCheckpoint(await folder(t, parts))).tensors.keys()], ['a', 'b']);
  const path = await folder(t, { 'config.json': config, 'm-00001-of-00002.safetensors': part('a') });
  await refusal(t, path, /00002-of-00002.*absent/);
});

test('openCheckpoint refuses a tensor that two shards have', async (t) => {
  const path = await folder(t, {
    'config.json': config,
    'm-00001-of-00002.safetensors': part('a'),
    'm-00002-of-00002.safetensors': part('a'),
  });
  await refusal(t, path, /is also in/);
});

test('openCheckpoint prefers safetensors to a GGUF file beside them', async (t) => {
  const path = await folder(t, { 'config.json': config, 'model.safetensors': part('a'), 'm.gguf': makeGguf({}) });
  t.is((await openCheckpoint(path)).kind, 'safetensors');
});

test('openCheckpoint names what is absent', async (t) => {
  await refusal(t, '/nowhere/at/all', /does not exist/, 'checkpoint_missing');
  await refusal(t, await folder(t, { 'readme.md': '' }), /no .safetensors and no .gguf/, 'checkpoint_missing');
  await refusal(
    t,
    await folder(t, { 'model.safetensors': part('a') }),
    /config\.json.*does not exist/,
    'checkpoint_missing',
  );
  const path = await folder(t, { 'x.bin': '' });
  await refusal(t, join(path, 'x.bin'), /a .gguf file or a folder is wanted/);
});

test('openCheckpoint refuses a config that is not JSON, and a folder in place of a file', async (t) => {
  await refusal(t, await folder(t, { 'config.json': '{', 'model.safetensors': part('a') }), /config\.json.*not JSON/);
  const path = await folder(t, { 'config.json': config });
  await mkdir(join(path, 'model.safetensors'));
  await refusal(t, path, /not a regular file/);
});

const split = (number: number, count: number, total = 2): Record<string, GgufField> => ({
  'split.no': { type: 'u16', value: number },
  'split.count': { type: 'u16', value: count },
  'split.tensors.count': { type: 'i32', value: total },
});
const ggufPart = (name: string, metadata: Record<string, GgufField>) =>
  makeGguf({ metadata, tensors: [{ name, shape: [4], type: 'F32', bytes: new Uint8Array(16) }] });

test('openCheckpoint joins a split GGUF from its folder or any of its parts', async (t) => {
  const path = await folder(t, {
    'm-00001-of-00002.gguf': ggufPart('a', split(0, 2)),
    'm-00002-of-00002.gguf': ggufPart('b', split(1, 2)),
    'mmproj-m.gguf': makeGguf({}),
  });
  for (const start of [path, join(path, 'm-00002-of-00002.gguf')]) {
    const checkpoint = await openCheckpoint(start);
    t.deepEqual([...checkpoint.tensors.keys()], ['a', 'b']);
    t.is(checkpoint.path, join(path, 'm-00001-of-00002.gguf'));
    t.is(checkpoint.config, null);
    t.is(checkpoint.metadata.get('split.no'), 0);
  }
});

test('openCheckpoint joins the most exact vision tower beside a GGUF model', async (t) => {
  const clip = (size: number) =>
    ({
      'general.architecture': { type: 'string', value: 'clip' },
      'clip.vision.patch_size': { type: 'u32', value: size },
    }) as const;
  const path = await folder(t, {
    'm-Q8_0.gguf': ggufPart('a', { 'general.architecture': { type: 'string', value: 'm' } }),
    'mmproj-m-f16.gguf': ggufPart('v', clip(1)),
    'mmproj-m-BF16.gguf': ggufPart('v', clip(2)),
    'm.imatrix.gguf': makeGguf({}),
  });
  const { tensors, metadata, companion } = await openCheckpoint(join(path, 'm-Q8_0.gguf'));
  t.is(companion, join(path, 'mmproj-m-BF16.gguf'));
  t.deepEqual(
    [...tensors.values()].map(({ name, file }) => [name, file]),
    [
      ['a', join(path, 'm-Q8_0.gguf')],
      ['v', companion],
    ],
  );
  t.is(metadata.get('clip.vision.patch_size'), 2);
  t.is(metadata.get('general.architecture'), 'm');
});

test('openCheckpoint refuses a split GGUF whose parts disagree', async (t) => {
  const first = ggufPart('a', split(0, 2));
  const names = ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf'] as const;
  await refusal(t, await folder(t, { [names[0]]: first, [names[1]]: ggufPart('b', split(0, 2)) }), /'split.no' is 0/);
  await refusal(
    t,
    await folder(t, { [names[0]]: first, [names[1]]: ggufPart('b', split(1, 3)) }),
    /'split.count' is 3/,
  );
  const many = ggufPart('a', split(0, 2, 5));
  await refusal(
    t,
    await folder(t, { [names[0]]: many, [names[1]]: ggufPart('b', split(1, 2)) }),
    /'split.tensors.count' is 5/,
  );
  await refusal(t, await folder(t, { [names[0]]: first }), /absent/);
});

test('openCheckpoint refuses a folder of several GGUF models and takes one by its path', async (t) => {
  const path = await folder(t, { 'a.gguf': ggufPart('a', {}), 'b.gguf': ggufPart('b', {}) });
  await refusal(t, path, /2 models \(a\.gguf, b\.gguf\)/);
  t.deepEqual([...(await openCheckpoint(join(path, 'b.gguf'))).tensors.keys()], ['b']);
});
