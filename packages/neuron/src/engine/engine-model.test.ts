import { createArchitectureRegistry, referenceBackend } from '@helexa/graph';
import test from 'ava';
import { type LoadedModel, loadModel } from '../model/loader.js';
import { collect, fakeEffects, greedy, requestOf } from '../testing/fake-engine.js';
import { runRandomSchedules } from '../testing/random-schedules.js';
import { tinyArchitecture, tinyModelPath } from '../testing/tiny-architecture.js';
import type { ReuseScope } from './block-manager.js';
import { Engine } from './engine.js';

/** Two shapes of step: one that cuts prompts into small pieces, one that takes several whole. */
const shapes = [
  { maxRows: 24, maxSequences: 3, maxContext: 256, pages: 8 },
  { maxRows: 96, maxSequences: 4, maxContext: 256, pages: 12 },
];
const models: LoadedModel[] = [];

test.before(async () => {
  const registry = createArchitectureRegistry([tinyArchitecture]);
  for (const limits of shapes) {
    models.push(
      await loadModel({ path: tinyModelPath, registry, backend: referenceBackend(), kvFormat: 'F16', limits }),
    );
  }
});
test.after.always(() => Promise.all(models.map((model) => model.dispose())));

function engineOn(model: LoadedModel, reuse: ReuseScope): Engine {
  return new Engine({
    modelId: 'tiny',
    device: model.device,
    reuse,
    maxBufferedEvents: 4,
    stepTimeoutMs: 60_000,
    effects: fakeEffects(),
  });
}

/** Requests that the schedules draw from: two prompts share their first page, half of them sample. */
const prefix = Array.from({ length: 64 }, (_, index) => (index * 37) % 600);
const requests = [
  { prompt: [5], maxTokens: 4 },
  { prompt: [9, 8, 7], maxTokens: 4 },
  { prompt: [...prefix, 3], maxTokens: 2 },
  { prompt: [...prefix, 4, 5, 6], maxTokens: 2 },
  { prompt: prefix.slice(10, 38), maxTokens: 3 },
  { prompt: [11, 12, 13, 14], maxTokens: 4 },
].flatMap(({ prompt, maxTokens }) =>
  [0, 1].map((temperature) =>
    requestOf(prompt, {
      maxTokens,
      seed: BigInt(prompt.length),
      sampling: { ...greedy, temperature, repetitionPenalty: 1.2 },
    }),
  ),
);

test('Engine gives every request the tokens that it gets alone, in a thousand schedules of a real model', async (t) => {
  t.timeout(120_000);
  const alone: (string | undefined)[] = [];
  for (const request of requests) {
    const engine = engineOn(models[1]!, 'none');
    alone.push((await collect(engine.generate(request))).texts[0]);
    await engine.close();
  }
  t.is(new Set(alone).size, requests.length, 'the answers differ, so that a mix-up would show');

  await runRandomSchedules({
    requests,
    wanted: alone,
    shapes: shapes.length,
    engineOn: (shape, reuse) => engineOn(models[shape]!, reuse),
    maxArrivals: 3,
    schedules: 1000,
  });
});
