import { type DeviceModel, header, patchPlace } from '@helexa/graph';
import test from 'ava';
import { fakeDevice, fakeLimits } from '../testing/fake-device.js';
import { collect, fakeEngine, requestOf } from '../testing/fake-engine.js';
import type { PreparedImage } from '../vision/prepare-image.js';
import { expandPrompt } from '../vision/visual-prompt.js';

const limits = { ...fakeLimits, vision: { maxPatches: 16, patchWidth: 2, maxFeatures: 128, featureWidth: 1 } };
const facts = { imageToken: 900, merge: 2 };

/** An image of blocks whose features are its name and their numbers: 10.0, 10.1, ... */
const imageOf = (name: number, height: number, width: number): PreparedImage => ({
  grid: { height, width },
  pixels: () => new Float32Array(height * width * 2).fill(name),
  features: (height * width) / 4,
  key: -name,
});

interface Row {
  readonly token: number;
  /** Of a row that takes one. */
  readonly feature: number | null;
  readonly place: readonly number[];
}

type Seen =
  | { readonly kind: 'image'; readonly places: readonly (readonly number[])[] }
  | { readonly kind: 'text'; readonly rows: readonly Row[] };

/** A device that writes down what each step held, and makes features of what its patches hold. */
function watchedDevice(seen: Seen[], onImage: () => void = () => {}): DeviceModel {
  const device = fakeDevice(limits);
  const { layout, buffer } = device;
  const [i32, f32] = [new Int32Array(buffer), new Float32Array(buffer)];
  const watched = {
    async step() {
      const [rows, patches, features] = (['rows', 'patches', 'features'] as const).map(
        (count) => i32[layout.header + header[count]]!,
      ) as [number, number, number];
      if (patches > 0) {
        const axes = [patchPlace.image, patchPlace.y, patchPlace.x, patchPlace.gridHeight, patchPlace.gridWidth];
        const places = Array.from({ length: patches }, (_, patch) =>
          axes.map((axis) => i32[layout.patches + axis * limits.vision.maxPatches + patch]!),
        );
        seen.push({ kind: 'image', places });
        for (let row = 0; row < features; row++) f32[layout.features + row] = f32[layout.pixels]! + row / 16;
        onImage();
      } else {
        const row = (index: number): Row => {
          const token = i32[layout.tokens + index]!;
          const place = [0, 1, 2].map((axis) => i32[layout.positions + axis * limits.maxRows + index]!);
          return { token, feature: token < 0 ? f32[layout.features - 1 - token]! : null, place };
        };
        seen.push({ kind: 'text', rows: Array.from({ length: rows }, (_, index) => row(index)) });
      }
      return device.step();
    },
  };
  return Object.assign(Object.create(device) as DeviceModel, { layout, buffer }, watched);
}

const seeing = (ids: readonly number[], images: readonly PreparedImage[]) => ({ ...expandPrompt(ids, images, facts) });

test('Engine makes features of each image once, and puts them and their positions where the prompt has them', async (t) => {
  const seen: Seen[] = [];
  const engine = fakeEngine({ device: watchedDevice(seen), vision: facts });
  const { prompt, visual } = seeing([1, 900, 2, 900, 3], [imageOf(10, 2, 4), imageOf(20, 2, 2)]);
  await collect(engine.generate(requestOf(prompt, { visual, maxTokens: 3 })));
  await engine.close();
  const images = seen.filter((step) => step.kind === 'image');
  t.is(images.length, 2);
  t.deepEqual(images[0]!.places, [
    [0, 0, 0, 2, 4],
    [0, 0, 1, 2, 4],
    [0, 1, 0, 2, 4],
    [0, 1, 1, 2, 4],
    [0, 0, 2, 2, 4],
    [0, 0, 3, 2, 4],
    [0, 1, 2, 2, 4],
    [0, 1, 3, 2, 4],
  ]);
  const rows = seen.flatMap((step) => (step.kind === 'text' ? step.rows : []));
  t.deepEqual(
    rows.slice(0, 6).map(({ feature }) => feature),
    [null, 10, 10 + 1 / 16, null, 20, null],
  );
  t.deepEqual(
    rows.map(({ place }) => place),
    [
      [0, 0, 0],
      [1, 1, 1],
      [1, 1, 2],
      [3, 3, 3],
      [4, 4, 4],
      [5, 5, 5],
      [6, 6, 6],
      [7, 7, 7],
    ],
  );
});

test('Engine answers others while the images of a request become features', async (t) => {
  const seen: Seen[] = [];
  const engine = fakeEngine({ device: watchedDevice(seen), vision: facts });
  const text = collect(engine.generate(requestOf([5, 6, 7], { maxTokens: 6 })));
  const { prompt, visual } = seeing(
    [900, 900, 900, 4],
    [1, 2, 3].map((name) => imageOf(name, 2, 2)),
  );
  const image = collect(engine.generate(requestOf(prompt, { visual, maxTokens: 2 })));
  await Promise.all([text, image]);
  await engine.close();
  const kinds = seen.map((step) => step.kind).slice(0, 6);
  t.deepEqual(kinds, ['image', 'text', 'image', 'text', 'image', 'text']);
});

test('Engine frees what a request holds that is cancelled while its image becomes features', async (t) => {
  const abort = new AbortController();
  const engine = fakeEngine({ device: watchedDevice([], () => abort.abort()), vision: facts });
  const { prompt, visual } = seeing([900, 1], [imageOf(1, 2, 2)]);
  const generation = collect(engine.generate(requestOf(prompt, { visual, signal: abort.signal })));
  await t.throwsAsync(generation, { message: /its reader has gone/ });
  await engine.idle();
  t.deepEqual(engine.load.pages.used, 0);
  t.deepEqual((await collect(engine.generate(requestOf([1, 2, 3], { maxTokens: 2 })))).texts.length, 1);
  await engine.close();
});

test('Engine shares the pages of a prompt only with prompts of the same images', async (t) => {
  const engine = fakeEngine({ device: watchedDevice([]), vision: facts });
  const ids = [900, ...Array.from({ length: 80 }, (_, index) => index)];
  const cached = async (image: PreparedImage): Promise<number> => {
    const { prompt, visual } = seeing(ids, [image]);
    const { events } = await collect(engine.generate(requestOf(prompt, { visual, maxTokens: 1 })));
    const end = events.find((event) => event.type === 'generation-end');
    return end?.type === 'generation-end' ? end.usage.cachedTokens : -1;
  };
  t.is(await cached(imageOf(1, 2, 2)), 0);
  t.is(await cached(imageOf(2, 2, 2)), 0);
  t.is(await cached(imageOf(1, 2, 2)), 64);
  await engine.close();
});
