import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { type MockFile, startMockRegistry } from '../testing/mock-registry.js';
import { openTestSources } from '../testing/test-sources.js';
import { tinyModelPath } from '../testing/tiny-architecture.js';
import { post, startTinyNeuron } from '../testing/tiny-neuron.js';
import { parseRange } from './hub-server.js';

const temporary = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'cortex-lan-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

async function tinyFiles(): Promise<Record<string, MockFile>> {
  const names = (await readdir(tinyModelPath)).filter((name) => name !== 'expected.json');
  return Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [name, new Uint8Array(await readFile(join(tinyModelPath, name)))] as const),
    ),
  );
}

/** A neuron that fetches from `endpoint` into a cache of its own. */
async function startFetching(t: ExecutionContext, endpoint: string, hub: object = {}) {
  const cache = await temporary(t);
  const neuron = await startTinyNeuron({
    isLoaded: false,
    config: {
      models_dir: [],
      hub: {
        default_source: 'huggingface',
        endpoint,
        cache_dir: cache,
        offline: false,
        serve: false,
        downloads: 2,
        sources: [],
        ...hub,
      },
    },
  });
  t.teardown(() => neuron.close());
  return { neuron, cache };
}

const answer = async (neuron: { readonly url: string }, model: string): Promise<string> => {
  const response = await post(neuron as never, '/v1/completions', {
    model,
    prompt: 'a',
    max_tokens: 4,
    temperature: 0,
  });
  const body = (await response.json()) as { choices: { text: string }[] };
  return body.choices[0]!.text;
};

test('a neuron fetches a model that it is asked to load, and a second one fetches it from the first', async (t) => {
  const registry = await startMockRegistry({ 'org/tiny': { files: await tinyFiles() } });
  t.teardown(() => registry.close());
  const first = await startFetching(t, registry.url, { serve: true });
  t.is((await post(first.neuron, '/models/load', { model_id: 'huggingface:org/tiny' })).status, 200);
  // One spelling: what was loaded with its scheme answers without it, and the other way round.
  const expected = await answer(first.neuron, 'org/tiny');
  t.is(await answer(first.neuron, 'huggingface:org/tiny'), expected);

  await registry.close();
  const second = await startFetching(t, first.neuron.url);
  t.is((await post(second.neuron, '/models/load', { model_id: 'org/tiny' })).status, 200);
  t.is(await answer(second.neuron, 'org/tiny'), expected);
  const snapshot = join('models--org--tiny', 'snapshots', 'c'.repeat(40), 'model.safetensors');
  t.deepEqual(await readFile(join(second.cache, snapshot)), await readFile(join(tinyModelPath, 'model.safetensors')));

  const listed = (await (await fetch(`${second.neuron.url}/models`)).json()) as { id: string; status: string }[];
  t.deepEqual(
    listed.map(({ id, status }) => [id, status]),
    [['org/tiny', 'loaded']],
  );
});

test('a neuron lends files in ranges, with their hash as the tag, and nothing that it does not list', async (t) => {
  const files = await tinyFiles();
  const registry = await startMockRegistry({ 'org/tiny': { files } });
  t.teardown(() => registry.close());
  const { neuron } = await startFetching(t, registry.url, { serve: true });
  await post(neuron, '/models/load', { model_id: 'org/tiny' });
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(`${neuron.url}${path}`, { headers, method });
  const whole = files['model.safetensors'] as Uint8Array;

  const part = await get('/org/tiny/resolve/main/model.safetensors', { range: 'bytes=10-19' });
  t.is(part.status, 206);
  t.is(part.headers.get('content-range'), `bytes 10-19/${whole.length}`);
  t.deepEqual(new Uint8Array(await part.arrayBuffer()), whole.slice(10, 20));
  t.regex(part.headers.get('etag') ?? '', /^"[0-9a-f]{64}"$/);
  t.is((await get('/org/tiny/resolve/main/model.safetensors', { range: `bytes=${whole.length}-` })).status, 416);
  const head = await get('/org/tiny/resolve/main/model.safetensors', {}, 'HEAD');
  t.is(head.headers.get('content-length'), String(whole.length));

  for (const path of [
    '/org/tiny/resolve/main/absent.json',
    '/org/tiny/resolve/main/..%2f..%2f..%2frefs%2fmain',
    '/org/tiny/resolve/..%2f..%2frefs/main',
    '/org/tiny/resolve/other/config.json',
    '/org/other/resolve/main/config.json',
    '/..%2forg/tiny/resolve/main/config.json',
    '/api/models/org/other',
    '/api/models/..%2f..%2fetc/tiny/revision/main',
  ])
    t.is((await get(path)).status, 404, path);
});

test('a neuron lends nothing unless it is told to', async (t) => {
  const registry = await startMockRegistry({ 'org/tiny': { files: await tinyFiles() } });
  t.teardown(() => registry.close());
  const { neuron } = await startFetching(t, registry.url);
  await post(neuron, '/models/load', { model_id: 'org/tiny' });
  t.is((await fetch(`${neuron.url}/api/models/org/tiny`)).status, 404);
  t.is((await fetch(`${neuron.url}/org/tiny/resolve/main/config.json`)).status, 404);
});

test('a load that preflight refuses is 422 with its kind, and downloads no weight', async (t) => {
  const registry = await startMockRegistry({
    'org/tiny': { files: await tinyFiles() },
    'org/empty': { files: { 'README.md': new Uint8Array([1]) } },
    'org/quants': { files: { 'a-Q4_K_M.gguf': new Uint8Array([1]), 'a-Q8_0.gguf': new Uint8Array([1]) } },
  });
  t.teardown(() => registry.close());
  const { neuron } = await startFetching(t, registry.url);
  for (const [body, kind] of [
    [{ model_id: 'org/tiny', tensor_parallel: 5 }, 'cannot_shard'],
    [{ model_id: 'org/empty' }, 'empty_repo'],
    [{ model_id: 'org/absent' }, 'repo_not_found'],
    [{ model_id: 'org/quants', quant: 'q4km' }, 'quant_not_found'],
  ] as const) {
    const response = await post(neuron, '/models/load', body);
    const { error } = (await response.json()) as { error: { kind: string } };
    t.deepEqual([response.status, error.kind], [422, kind]);
  }
  t.true((registry.sent.get('model.safetensors') ?? 0) < 10_000);
});

test('a download that is killed with its process goes on in the next one', async (t) => {
  const weights = new Uint8Array(4_000_000).map((_, position) => position % 251);
  const files = { 'config.json': new Uint8Array([123, 125]), 'model.safetensors': weights };
  const registry = await startMockRegistry({ 'org/name': { files } });
  t.teardown(() => registry.close());
  const cacheFolder = await temporary(t);
  const isWeights = (path: string) => path.endsWith('/model.safetensors');
  let isFirst = true;
  registry.fault = ({ path }) => {
    if (!isWeights(path)) return null;
    const fault = isFirst ? ({ kind: 'reset', afterBytes: 3_000_000 } as const) : ({ kind: 'silence' } as const);
    isFirst = false;
    return fault;
  };
  const fixture = fileURLToPath(new URL('./interrupted-fetch.fixture.js', import.meta.url));
  const child = spawn(process.execPath, [fixture, registry.url, cacheFolder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  for await (const chunk of child.stdout) {
    const bytes = Number(String(chunk).trim().split('\n').at(-1));
    if (bytes > 1_000_000) child.kill('SIGKILL');
  }
  t.deepEqual(await exited, [null, 'SIGKILL']);

  registry.fault = () => null;
  registry.sent.clear();
  const { sources, close } = await openTestSources(registry.url, { cacheFolder });
  t.teardown(close);
  const path = await sources.fetch(await sources.repository('org/name'), ['model.safetensors']);
  t.deepEqual(new Uint8Array(await readFile(join(path, 'model.safetensors'))), weights);
  t.true(registry.sent.get('model.safetensors')! <= weights.length - 900_000);
});

test('a neuron ends in the middle of a download, and tells whoever waited for it', async (t) => {
  const registry = await startMockRegistry({ 'org/tiny': { files: await tinyFiles() } });
  t.teardown(() => registry.close());
  const { neuron } = await startFetching(t, registry.url);
  const asked = new Promise<void>((resolve) => {
    registry.fault = ({ path, range }) => {
      if (!path.endsWith('/model.safetensors') || range !== undefined) return null;
      resolve();
      return { kind: 'silence' };
    };
  });
  const load = post(neuron, '/models/load', { model_id: 'org/tiny' });
  await asked;
  const listed = (await (await fetch(`${neuron.url}/models`)).json()) as { status: string }[];
  t.deepEqual(
    listed.map(({ status }) => status),
    ['loading'],
  );
  await neuron.close();
  const response = await load;
  t.true(response.status >= 400, String(response.status));
});

test('parseRange reads one range, and takes several or none for the whole', (t) => {
  t.deepEqual(parseRange('bytes=0-0', 10), { begin: 0, end: 1 });
  t.deepEqual(parseRange('bytes=5-', 10), { begin: 5, end: 10 });
  t.deepEqual(parseRange('bytes=5-99', 10), { begin: 5, end: 10 });
  t.deepEqual(parseRange('bytes=-3', 10), { begin: 7, end: 10 });
  for (const whole of [undefined, 'bytes=-', 'bytes=0-1,3-4', 'bytes=5-3', 'lines=0-1', ''])
    t.is(parseRange(whole, 10), null);
  for (const none of ['bytes=10-', 'bytes=-0']) t.is(parseRange(none, 10), 'none');
});
