import { createHash, randomBytes } from 'node:crypto';
import { access, lstat, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CortexError, diskFolder, type ErrorCode } from '@helexa/core';
import test, { type ExecutionContext } from 'ava';
import { readPooling } from '../model/pooling.js';
import { type MockFault, type MockRegistry, startMockRegistry } from '../testing/mock-registry.js';
import { openTestSources } from '../testing/test-sources.js';
import { repositoryFolder } from './repository.js';

const weights = new Uint8Array(randomBytes(300_000));
const config = new TextEncoder().encode('{"model_type":"x"}');
const files = { 'config.json': config, 'model.safetensors': weights, 'README.md': new Uint8Array([1]) };
const id = 'org/name';

async function rig(t: ExecutionContext, repository: object = { files }) {
  const registry = await startMockRegistry({ [id]: repository as { files: typeof files } });
  t.teardown(() => registry.close());
  const opened = await openTestSources(registry.url);
  t.teardown(() => opened.close());
  const { sources, cacheFolder } = opened;
  const folder = join(cacheFolder, 'models--org--name');
  const fetch = async () => await sources.fetch(await sources.repository(id), ['model.safetensors']);
  return { registry, sources, cacheFolder, folder, fetch };
}

/** Faults for the first answers of one file, then none. */
const onFile = (name: string, faults: readonly MockFault[]): MockRegistry['fault'] => {
  const left = [...faults];
  return ({ path, method }) => (method === 'GET' && path.endsWith(`/${name}`) ? (left.shift() ?? null) : null);
};

const codeOf = async (t: ExecutionContext, promise: Promise<unknown>): Promise<ErrorCode> => {
  const error = (await t.throwsAsync(promise, { instanceOf: CortexError })) as CortexError;
  return error.code;
};

test('ModelSources lays a model out as other tools do, without what it does not need', async (t) => {
  const { folder, fetch, sources } = await rig(t);
  const path = await fetch();
  t.is(path, join(folder, 'snapshots', 'c'.repeat(40)));
  t.deepEqual((await readdir(path)).sort(), ['config.json', 'model.safetensors']);
  t.deepEqual(new Uint8Array(await readFile(join(path, 'model.safetensors'))), weights);
  t.true((await lstat(join(path, 'config.json'))).isSymbolicLink());
  t.regex(await readlink(join(path, 'config.json')), /^\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/);
  t.regex(await readlink(join(path, 'model.safetensors')), /^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/);
  t.is(await readFile(join(folder, 'refs', 'main'), 'utf8'), 'c'.repeat(40));
  t.deepEqual(await sources.cachedIds(), [id]);
  t.true((await readdir(join(folder, 'blobs'))).every((name) => /^[0-9a-f]+$/.test(name)));
});

test('ModelSources keeps every revision of a model beside the others, under its own id and reference', async (t) => {
  const { registry, folder, fetch, sources } = await rig(t);
  const tagged = new Uint8Array(randomBytes(200_000));
  const commit = 'd'.repeat(40);
  registry.repositories.set(`${id}@v1`, { files: { ...files, 'model.safetensors': tagged }, commit });
  await fetch();
  for (const name of ['v1', commit]) {
    const repository = await sources.repository(`huggingface:${id}@${name}`);
    t.is(repository.id, `${id}@${name}`);
    t.is(repository.commit, commit);
    const path = await sources.fetch(repository, ['model.safetensors']);
    t.deepEqual(new Uint8Array(await readFile(join(path, 'model.safetensors'))), tagged);
  }
  t.deepEqual((await readdir(join(folder, 'refs'))).sort(), ['main', 'v1']);
  t.is(await readFile(join(folder, 'refs', 'v1'), 'utf8'), commit);
  t.deepEqual((await sources.cachedIds()).sort(), [id, `${id}@v1`]);
  t.is(registry.sent.get('model.safetensors'), weights.length + tagged.length);
  await t.throwsAsync(sources.repository(`${id}@absent`), { code: 'repo_not_found' });
});

test('ModelSources ends with a type when the disk is full, and goes on when there is room', async (t) => {
  const { folder, fetch } = await rig(t);
  const blobs = join(folder, 'blobs');
  const hex = createHash('sha256').update(weights).digest('hex');
  await mkdir(blobs, { recursive: true });
  // A file on which every write fails with ENOSPC.
  await symlink('/dev/full', join(blobs, `${hex}.incomplete`));
  t.is(await codeOf(t, fetch()), 'disk_full');
  t.false((await readdir(blobs)).some((name) => name === hex || name.endsWith('.lock')));
  await rm(join(blobs, `${hex}.incomplete`));
  await fetch();
  t.deepEqual(new Uint8Array(await readFile(join(blobs, hex))), weights);
});

test('ModelSources brings how a sentence encoder pools, which can be read before anything is fetched', async (t) => {
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const modules = [{ type: 'st.Transformer' }, { type: 'st.Pooling', path: '1_Pooling' }];
  const encoder = {
    ...files,
    'modules.json': json(modules),
    '1_Pooling/config.json': json({ pooling_mode_lasttoken: true }),
    'onnx/config.json': config,
  };
  const { fetch, sources } = await rig(t, { files: encoder });
  const folder = repositoryFolder(await sources.repository(id));
  const checkpoint = { kind: 'safetensors', path: 'm', tensors: new Map(), config: {}, metadata: new Map() } as const;
  t.deepEqual(await readPooling(checkpoint, folder), { dimensions: null });
  const path = await fetch();
  t.deepEqual((await readdir(path)).sort(), ['1_Pooling', 'config.json', 'model.safetensors', 'modules.json']);
  t.deepEqual(await readPooling(checkpoint, await diskFolder(path)), { dimensions: null });
});

test('ModelSources lists what has weights, whoever put it into the cache', async (t) => {
  const { fetch, sources, cacheFolder } = await rig(t);
  await fetch();
  for (const [folder, file] of [
    ['models--other--tokenizer', 'tokenizer.json'],
    ['models--other--model', 'model.gguf'],
    ['datasets--other--data', 'model.gguf'],
  ] as const) {
    await mkdir(join(cacheFolder, folder, 'refs'), { recursive: true });
    await mkdir(join(cacheFolder, folder, 'snapshots', 'a'.repeat(40)), { recursive: true });
    await writeFile(join(cacheFolder, folder, 'refs', 'main'), 'a'.repeat(40));
    await writeFile(join(cacheFolder, folder, 'snapshots', 'a'.repeat(40), file), 'x');
  }
  t.deepEqual((await sources.cachedIds()).sort(), [id, 'other/model']);
});

test('ModelSources downloads nothing twice', async (t) => {
  const { registry, fetch } = await rig(t);
  await fetch();
  const before = registry.sent.get('model.safetensors');
  await fetch();
  t.is(registry.sent.get('model.safetensors'), before);
});

test('ModelSources asks for lengths and hashes that a listing does not have', async (t) => {
  const { registry, fetch, folder } = await rig(t, { files, hasBlobs: false });
  await fetch();
  t.is(registry.requests.filter(({ method }) => method === 'HEAD').length, 2);
  t.is((await readdir(join(folder, 'blobs'))).length, 2);
});

for (const [name, status, headers, code] of [
  ['a repository that is not there', 404, {}, 'repo_not_found'],
  ['one that is not there, or private', 401, { 'x-error-code': 'RepoNotFound' }, 'repo_not_found'],
  ['a token that is wanted', 401, {}, 'repo_unauthorised'],
  ['a gated model', 403, { 'x-error-code': 'GatedRepo' }, 'repo_forbidden'],
  ['a forbidden model', 403, {}, 'repo_forbidden'],
] as const)
  test(`ModelSources refuses at once: ${name}`, async (t) => {
    const { registry, fetch } = await rig(t);
    registry.fault = () => ({ kind: 'status', status, headers });
    t.is(await codeOf(t, fetch()), code);
    t.is(registry.requests.length, 1);
  });

test('ModelSources asks again after 429 and 503, five times in all', async (t) => {
  const { registry, fetch } = await rig(t);
  const failures = [429, 503, 502];
  registry.fault = () => {
    const status = failures.shift();
    return status === undefined ? null : { kind: 'status', status, headers: { 'retry-after': '1' } };
  };
  await t.notThrowsAsync(fetch());
  registry.requests.length = 0;
  const other = await openTestSources(registry.url);
  t.teardown(() => other.close());
  registry.fault = () => ({ kind: 'status', status: 503 });
  t.is(await codeOf(t, other.sources.repository(id)), 'repo_fetch_failed');
  t.is(registry.requests.length, 5);
});

test('ModelSources goes on where a connection broke', async (t) => {
  const { registry, fetch } = await rig(t);
  registry.fault = onFile('model.safetensors', [
    { kind: 'reset', afterBytes: 100_000 },
    { kind: 'reset', afterBytes: 50_000 },
  ]);
  const path = await fetch();
  t.deepEqual(new Uint8Array(await readFile(join(path, 'model.safetensors'))), weights);
  // Each byte that had arrived was not sent again; some of the last chunk may not have arrived.
  t.true(registry.sent.get('model.safetensors')! < 2 * weights.length);
  t.true(registry.requests.some(({ range }) => range !== undefined && /^bytes=[1-9]\d*-$/.test(range)));
});

test('ModelSources begins anew when the registry gives no ranges', async (t) => {
  const { registry, fetch } = await rig(t);
  registry.fault = onFile('model.safetensors', [{ kind: 'reset', afterBytes: 100_000 }, { kind: 'no-range' }]);
  const path = await fetch();
  t.deepEqual(new Uint8Array(await readFile(join(path, 'model.safetensors'))), weights);
});

test('ModelSources keeps nothing whose hash is wrong', async (t) => {
  const { registry, fetch, folder } = await rig(t);
  registry.fault = onFile('model.safetensors', [{ kind: 'corrupt' }]);
  t.is(await codeOf(t, fetch()), 'download_corrupt');
  const blobs = await readdir(join(folder, 'blobs'));
  t.true(
    blobs.every((name) => name.length === 40),
    blobs.join(),
  );
  await t.throwsAsync(access(join(folder, 'refs', 'main')), { code: 'ENOENT' });
  await t.notThrowsAsync(fetch());
});

test('ModelSources keeps nothing whose length is wrong', async (t) => {
  const { registry, fetch, folder } = await rig(t);
  for (const extraBytes of [1, -1]) {
    registry.fault = onFile('model.safetensors', [{ kind: 'length', extraBytes }]);
    t.is(await codeOf(t, fetch()), 'download_corrupt');
    t.true((await readdir(join(folder, 'blobs'))).every((name) => name.length === 40));
  }
});

test('ModelSources does not trust what an earlier download left', async (t) => {
  const { fetch, folder, sources } = await rig(t);
  const { files: listed } = await sources.repository(id);
  const hash = listed.find(({ name }) => name === 'model.safetensors')!.hash!;
  await mkdir(join(folder, 'blobs'), { recursive: true });
  await writeFile(join(folder, 'blobs', `${hash.hex}.incomplete`), randomBytes(1000));
  const path = await fetch();
  t.deepEqual(new Uint8Array(await readFile(join(path, 'model.safetensors'))), weights);
});

test('ModelSources ends a silence and asks again', async (t) => {
  const registry = await startMockRegistry({ [id]: { files } });
  t.teardown(() => registry.close());
  const opened = await openTestSources(registry.url, { idleTimeoutMs: 50 });
  t.teardown(() => opened.close());
  registry.fault = onFile('model.safetensors', [{ kind: 'silence' }]);
  const repository = await opened.sources.repository(id);
  await t.notThrowsAsync(opened.sources.fetch(repository, ['model.safetensors']));
});

test('ModelSources follows a redirect to another host without its token', async (t) => {
  const registry = await startMockRegistry({ [id]: { files } });
  const storage = await startMockRegistry({ [id]: { files } });
  t.teardown(() => Promise.all([registry.close(), storage.close()]));
  const opened = await openTestSources(registry.url, { hub: { token: 'secret' } });
  t.teardown(() => opened.close());
  registry.fault = ({ path }) => (path.includes('/resolve/') ? { kind: 'redirect', to: storage.url } : null);
  await opened.sources.fetch(await opened.sources.repository(id), ['model.safetensors']);
  t.true(
    registry.requests.length >= 3 && registry.requests.every(({ authorization }) => authorization === 'Bearer secret'),
  );
  t.true(storage.requests.length >= 2 && storage.requests.every(({ authorization }) => authorization === undefined));
});

test('ModelSources gives up on redirects without end', async (t) => {
  const { registry, sources } = await rig(t);
  registry.fault = () => ({ kind: 'redirect', to: registry.url });
  t.is(await codeOf(t, sources.repository(id)), 'repo_fetch_failed');
  t.is(registry.requests.length, 6);
});

test('ModelSources transfers a file once for two that want it at the same time', async (t) => {
  const { registry, fetch } = await rig(t);
  const [first, second] = await Promise.all([fetch(), fetch()]);
  t.is(first, second);
  t.is(registry.sent.get('model.safetensors'), weights.length);
});

test('ModelSources stops when it is told to, and what has come is used the next time', async (t) => {
  const { registry, fetch, sources, folder } = await rig(t);
  const stop = new AbortController();
  const repository = await sources.repository(id);
  registry.fault = onFile('model.safetensors', [{ kind: 'reset', afterBytes: 200_000 }, { kind: 'silence' }]);
  const fetching = sources.fetch(repository, ['model.safetensors'], {
    signal: stop.signal,
    onProgress: ({ bytes }) => {
      if (bytes > 150_000) stop.abort(new CortexError('request_cancelled', { reason: 'a test' }));
    },
  });
  t.is(await codeOf(t, fetching), 'request_cancelled');
  const [partial] = (await readdir(join(folder, 'blobs'))).filter((name) => name.endsWith('.incomplete'));
  t.truthy(partial);
  t.false((await readdir(join(folder, 'blobs'))).some((name) => name.endsWith('.lock')));
  registry.sent.clear();
  registry.fault = () => null;
  await fetch();
  t.true(registry.sent.get('model.safetensors')! < weights.length - 100_000);
});

test('ModelSources takes over the lock of a process that has ended', async (t) => {
  const { fetch, folder, sources } = await rig(t);
  const { files: listed } = await sources.repository(id);
  const { hex } = listed.find(({ name }) => name === 'model.safetensors')!.hash!;
  await mkdir(join(folder, 'blobs'), { recursive: true });
  const { hostname } = await import('node:os');
  // No process has the largest number.
  await writeFile(join(folder, 'blobs', `${hex}.lock`), `{"host":"${hostname()}","pid":4194305}`);
  await t.notThrowsAsync(fetch());
});

test('ModelSources uses the cache when the registry does not answer, and when it is told to be offline', async (t) => {
  const { registry, fetch, sources, cacheFolder } = await rig(t);
  const path = await fetch();
  registry.fault = () => ({ kind: 'status', status: 503 });
  t.is((await sources.repository(id)).from, 'cache');
  registry.requests.length = 0;
  const offline = await openTestSources(registry.url, { cacheFolder, hub: { offline: true } });
  t.teardown(() => offline.close());
  const repository = await offline.sources.repository(id);
  t.is(await offline.sources.fetch(repository, ['model.safetensors']), path);
  t.is(await offline.sources.find('org/other'), null);
  t.is(await codeOf(t, offline.sources.repository('org/other')), 'repo_fetch_failed');
  t.is(registry.requests.length, 0);
});

test('ModelSources refuses file names that leave the folder', async (t) => {
  for (const name of ['../evil.json', '/etc/evil.json', 'a/../../evil.json', 'a\\b.json', 'c:evil.json']) {
    const { fetch } = await rig(t, { files: { ...files, [name]: config } });
    t.is(await codeOf(t, fetch()), 'repo_fetch_failed', name);
  }
});

test('ModelSources keeps each source to its own endpoint and cache', async (t) => {
  const other = await startMockRegistry({ 'a/b': { files } });
  t.teardown(() => other.close());
  const { registry, cacheFolder } = await rig(t);
  const hub = {
    sources: [{ scheme: 'lan', endpoint: other.url, cache_dir: join(cacheFolder, 'lan'), token: 'lan-token' }],
  };
  const opened = await openTestSources(registry.url, { cacheFolder, hub });
  t.teardown(() => opened.close());
  const repository = await opened.sources.repository('lan:a/b');
  t.is(repository.id, 'lan:a/b');
  const path = await opened.sources.fetch(repository, ['model.safetensors']);
  t.true(path.startsWith(join(cacheFolder, 'lan')));
  t.is(registry.requests.length, 0);
  t.true(other.requests.every(({ authorization }) => authorization === 'Bearer lan-token'));
  t.is(await codeOf(t, opened.sources.repository('nas:a/b')), 'source_unknown');
});

test('HubCache follows links into its blobs only', async (t) => {
  const { fetch, cacheFolder, sources, registry } = await rig(t);
  const path = await fetch();
  await writeFile(join(cacheFolder, 'a'.repeat(64)), 'outside');
  await symlink(join(cacheFolder, 'a'.repeat(64)), join(path, 'outside.json'));
  registry.fault = () => ({ kind: 'status', status: 404 });
  const { files: listed } = await sources.repository(id);
  t.is(listed.find(({ name }) => name === 'outside.json')?.hash, null);
  t.is(listed.find(({ name }) => name === 'config.json')?.hash?.kind, 'git');
});
