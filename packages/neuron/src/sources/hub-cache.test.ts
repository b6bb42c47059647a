import { mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { HubCache } from './hub-cache.js';

test('HubCache links and notes the same thing many times at once, and leaves nothing else behind', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'cortex-hub-'));
  t.teardown(() => rm(root, { recursive: true }));
  const cache = new HubCache(root, 'org/m');
  const commit = 'c'.repeat(40);
  const hash = { kind: 'sha256', hex: 'a'.repeat(64) } as const;
  await Promise.all(
    Array.from({ length: 40 }, async () => {
      await cache.link(commit, 'model.safetensors', hash);
      await cache.writeRef('main', commit);
    }),
  );
  const path = cache.snapshotPath(commit);
  t.deepEqual(await readdir(path), ['model.safetensors']);
  t.regex(await readlink(join(path, 'model.safetensors')), /blobs\/a{64}$/);
  t.deepEqual(await cache.revisions(), ['main']);
});
