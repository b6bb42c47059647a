import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Backend, createArchitectureRegistry, type DeviceModel, referenceBackend } from '@helexa/graph';
import test from 'ava';
import { Engine } from '../engine/engine.js';
import { collect, fakeEffects, requestOf } from '../testing/fake-engine.js';
import { tinyArchitecture, tinyModelPath } from '../testing/tiny-architecture.js';
import { loadModel } from './loader.js';

const registry = createArchitectureRegistry([tinyArchitecture]);
const limits = { maxRows: 64, maxSequences: 4, maxContext: 256, pages: 16 };
const expected = JSON.parse(readFileSync(join(tinyModelPath, 'expected.json'), 'utf8')) as {
  cases: { name: string; ids: number[]; greedy: number[] }[];
};

test('loadModel and the engine continue as the independent implementation did', async (t) => {
  // Bound: equality of 24 tokens. Any swapped weight, wrong rotation or shifted page changes them.
  const loaded = await loadModel({
    path: tinyModelPath,
    registry,
    backend: referenceBackend(),
    kvFormat: 'F32',
    limits,
  });
  const engine = new Engine({
    modelId: 'tiny',
    device: loaded.device,
    reuse: 'shared',
    maxBufferedEvents: 64,
    stepTimeoutMs: 60_000,
    effects: fakeEffects(),
  });
  const answers = expected.cases.map(async ({ name, ids, greedy }) => {
    const { texts } = await collect(engine.generate(requestOf(ids, { maxTokens: greedy.length })));
    t.is(texts[0], greedy.map((token) => `${token} `).join(''), name);
  });
  await Promise.all(answers);
  await engine.close();
  await loaded.dispose();
});

test('loadModel reads for each rank only its own bytes, and both ranks together answer the same', async (t) => {
  const whole = await loadModel({
    path: tinyModelPath,
    registry,
    backend: referenceBackend(),
    kvFormat: 'F32',
    limits,
  });
  const halves = await loadModel({
    path: tinyModelPath,
    registry,
    backend: referenceBackend(),
    kvFormat: 'F32',
    ranks: 2,
    limits,
  });
  const [all] = whole.bytesRead;
  const [first, second] = halves.bytesRead;
  const tensors = [...whole.checkpoint.tensors.values()];
  const vectors = tensors
    .filter((tensor) => tensor.shape.length === 1)
    .reduce((sum, { begin, end }) => sum + end - begin, 0);
  t.is(
    all,
    tensors.reduce((sum, { begin, end }) => sum + end - begin, 0),
  );
  // Every matrix of this family is cut in two; norms are on both.
  t.is(first, (all! - vectors) / 2 + vectors);
  t.is(second, first);
  const engine = new Engine({
    modelId: 'tiny',
    device: halves.device,
    reuse: 'shared',
    maxBufferedEvents: 64,
    stepTimeoutMs: 60_000,
    effects: fakeEffects(),
  });
  const { ids, greedy } = expected.cases[2]!;
  const { texts } = await collect(engine.generate(requestOf(ids, { maxTokens: greedy.length })));
  t.is(texts[0], greedy.map((token) => `${token} `).join(''));
  await engine.close();
  await whole.dispose();
  await halves.dispose();
});

test('loadModel reports progress to the last byte', async (t) => {
  let last = { bytes: 0, totalBytes: 0 };
  const onProgress = (progress: { bytes: number; totalBytes: number }) => {
    last = progress;
  };
  const loaded = await loadModel({ path: tinyModelPath, registry, backend: referenceBackend(), limits, onProgress });
  t.true(last.totalBytes > 500_000);
  t.is(last.bytes, last.totalBytes);
  await loaded.dispose();
});

/** The reference backend, with a count of models that were loaded and not disposed. */
function countedBackend(): Backend & { readonly live: number } {
  const inner = referenceBackend();
  let live = 0;
  return {
    ...inner,
    get live() {
      return live;
    },
    async load(spec) {
      const model = await inner.load(spec);
      live += 1;
      return new Proxy(model, {
        get(target, key) {
          if (key === 'dispose') {
            return async () => {
              live -= 1;
              await target.dispose();
            };
          }
          const value = target[key as keyof DeviceModel];
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  };
}

test('loadModel leaves nothing behind when it is aborted or a file is cut short', async (t) => {
  const backend = countedBackend();
  const abort = new AbortController();
  const onProgress = () => abort.abort(new Error('no longer wanted'));
  const aborted = loadModel({ path: tinyModelPath, registry, backend, limits, signal: abort.signal, onProgress });
  await t.throwsAsync(aborted, { message: 'no longer wanted' });
  t.is(backend.live, 0);

  const folder = await mkdtemp(join(tmpdir(), 'cortex-loader-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const name of ['config.json', 'model.safetensors']) {
    await writeFile(join(folder, name), await readFile(join(tinyModelPath, name)));
  }
  // The header still promises everything, so it is refused by its size, before anything is allocated.
  await truncate(join(folder, 'model.safetensors'), 300_000);
  await t.throwsAsync(loadModel({ path: folder, registry, backend, limits }), { code: 'checkpoint_invalid' });
  t.is(backend.live, 0);
});

test('loadModel names the architectures it has when none fits', async (t) => {
  const empty = createArchitectureRegistry([]);
  const loading = loadModel({ path: tinyModelPath, registry: empty, backend: referenceBackend(), limits });
  await t.throwsAsync(loading, { code: 'architecture_unknown' });
});
