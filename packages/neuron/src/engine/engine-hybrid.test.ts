import { createArchitectureRegistry, type DeviceModel, header, referenceBackend } from '@helexa/graph';
import test from 'ava';
import { type LoadedModel, loadModel } from '../model/loader.js';
import { collect, fakeEffects, greedy, requestOf } from '../testing/fake-engine.js';
import { hybridArchitecture, hybridCheckpoint } from '../testing/hybrid-architecture.js';
import { runRandomSchedules } from '../testing/random-schedules.js';
import type { ReuseScope } from './block-manager.js';
import { Engine } from './engine.js';
import type { GenerationEvent } from './events.js';

/** Small chunks with two snapshots, and whole prompts with one: both evict often. */
const shapes = [
  { maxRows: 24, maxSequences: 3, maxContext: 320, pages: 16, snapshots: 2 },
  { maxRows: 160, maxSequences: 4, maxContext: 320, pages: 12, snapshots: 1 },
];
const checkpoint = hybridCheckpoint();
const models: LoadedModel[] = [];

test.before(async () => {
  const registry = createArchitectureRegistry([hybridArchitecture]);
  for (const limits of shapes)
    models.push(
      await loadModel({ path: checkpoint.path, registry, backend: referenceBackend(), kvFormat: 'F32', limits }),
    );
});
test.after.always(async () => {
  await Promise.all(models.map((model) => model.dispose()));
  checkpoint.dispose();
});

function engineOn({ device }: Pick<LoadedModel, 'device'>, reuse: ReuseScope): Engine {
  return new Engine({
    modelId: 'hybrid',
    device,
    reuse,
    maxBufferedEvents: 4,
    stepTimeoutMs: 60_000,
    effects: fakeEffects(),
  });
}

const prefix = Array.from({ length: 150 }, (_, index) => (index * 37 + (index >> 3)) % 96);
const prompts = [
  [5],
  [9, 8, 7],
  [...prefix.slice(0, 64), 3],
  [...prefix.slice(0, 70), 4, 5, 6],
  [...prefix, 7],
  [...prefix, 8, 9],
  [...prefix.slice(0, 128), 1, 2],
];
const requests = prompts.map((prompt) => requestOf(prompt, { maxTokens: 4, sampling: greedy }));

const cachedOf = (events: readonly GenerationEvent[]): number =>
  events.flatMap((event) => (event.type === 'generation-end' ? [event.usage.cachedTokens] : []))[0] ?? -1;

async function answerOf(engine: Engine, which: number): Promise<{ text: string; cached: number }> {
  const events: GenerationEvent[] = [];
  for await (const event of engine.generate(requests[which]!)) events.push(event);
  const text = events.flatMap((event) => (event.type === 'text-delta' ? [event.text] : [])).join('');
  return { text, cached: cachedOf(events) };
}

async function alone(): Promise<string[]> {
  const texts: string[] = [];
  for (const request of requests) {
    const engine = engineOn(models[1]!, 'none');
    texts.push((await collect(engine.generate(request))).texts[0]!);
    await engine.close();
  }
  return texts;
}

test.serial(
  'Engine begins a sequence of a recurrent model from a kept state, with the tokens it gets alone',
  async (t) => {
    const wanted = await alone();
    const engine = engineOn(models[0]!, 'shared');
    // The first keeps the state at its last page; a longer one goes on from there, and then the next from its own.
    const seen: number[] = [];
    for (const which of [2, 3, 4, 5]) {
      const { text, cached } = await answerOf(engine, which);
      t.is(text, wanted[which]!, `prompt ${which}`);
      seen.push(cached);
    }
    t.deepEqual(seen, [0, 64, 64, 128]);
    await engine.close();
  },
);

/** A device that copies no states: what the other tests here must tell from a right one. */
const withoutCopies = (device: DeviceModel): DeviceModel => ({
  layout: device.layout,
  buffer: device.buffer,
  memory: device.memory,
  upload: (...tensor) => device.upload(...tensor),
  seal: () => device.seal(),
  step: () => {
    new Int32Array(device.buffer)[device.layout.header + header.copies] = 0;
    return device.step();
  },
  dispose: () => device.dispose(),
});

test.serial('Engine answers otherwise where states are not copied', async (t) => {
  const wanted = await alone();
  const engine = engineOn({ device: withoutCopies(models[0]!.device) }, 'shared');
  const texts: string[] = [];
  for (const which of [2, 3, 4, 5]) texts.push((await answerOf(engine, which)).text);
  await engine.close();
  t.is(texts[0], wanted[2]!);
  t.true([3, 4, 5].every((which, index) => texts[index + 1] !== wanted[which]));
});

test.serial('Engine keeps a state where a second prompt parted from the first', async (t) => {
  const engine = engineOn(models[0]!, 'shared');
  await answerOf(engine, 4);
  // Its pages up to 64 are known, but the state after them is not: it is kept now.
  const [second, third] = [await answerOf(engine, 3), await answerOf(engine, 3)];
  t.deepEqual([second.cached, third.cached], [0, 64]);
  t.is(third.text, (await alone())[3]!);
  await engine.close();
});

test.serial(
  'Engine gives every request of a recurrent model the tokens that it gets alone, in hundreds of schedules',
  async (t) => {
    t.timeout(120_000);
    const wanted = await alone();
    t.true(new Set(wanted).size > 4, 'the answers differ, so that a mix-up would show');
    const { cachedTokens } = await runRandomSchedules({
      requests,
      wanted,
      shapes: shapes.length,
      engineOn: (shape, reuse) => engineOn(models[shape]!, reuse),
      maxArrivals: 5,
      schedules: 300,
    });
    t.true(cachedTokens > 0, 'some schedules reuse a prefix');
  },
);
