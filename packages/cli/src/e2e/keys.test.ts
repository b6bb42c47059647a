import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '@helexa/core';
import test from 'ava';
import { runCortex } from '../testing/index.js';

test('keys: one is made, listed and taken away; the file keeps only its hash, and its mode', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cortex-keys-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'cortex.toml');
  const before = '# Mine.\n[entitlements]\nrequire_auth = true\n';
  await writeFile(file, before);
  await chmod(file, 0o640);
  const run = async (...args: string[]) => {
    const end = await runCortex(['keys', ...args, '--json'], { cwd: folder });
    return { code: end.code, said: JSON.parse(end.stdout) as Record<string, unknown> };
  };
  const made = await run('create', '--account', 'alice', '--model', 'org/a', '--tokens', '1000', '--window', '60');
  t.is(made.code, 0);
  const text = await readFile(file, 'utf8');
  t.false(text.includes(made.said['key'] as string));
  t.true(text.includes(sha256(made.said['key'] as string).toString('hex')));
  t.is((await stat(file)).mode & 0o777, 0o640);
  const twice = await run('create', '--account', 'alice');
  t.deepEqual([twice.code, (twice.said['error'] as { code: string }).code], [2, 'flag_invalid']);
  const listed = await run('list');
  t.like((listed.said['keys'] as object[])[0], {
    key_id: 'alice',
    allowed_models: ['org/a'],
    hard_cap: 1000,
    window: { kind: 'rolling', seconds: 60 },
  });
  t.false(JSON.stringify(listed.said).includes('sha256'));
  t.is((await run('revoke', 'bob')).code, 2);
  t.is((await run('revoke', 'alice')).code, 0);
  t.is((await readFile(file, 'utf8')).trimEnd(), before.trimEnd());
});
