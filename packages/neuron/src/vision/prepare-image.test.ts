import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CortexError } from '@helexa/core';
import test from 'ava';
import sharp from 'sharp';
import { decodeImage, readDataUri } from './decode-image.js';
import type { ImageParameters } from './image-parameters.js';
import { prepareImage, prepareRgb } from './prepare-image.js';
import { resample } from './resample.js';

const fixture = (name: string): Buffer =>
  readFileSync(fileURLToPath(new URL(`../../fixtures/vision/${name}`, import.meta.url)));
const cases = JSON.parse(fixture('cases.json').toString()) as {
  readonly 'image-0': {
    readonly grid: readonly [number, number];
    readonly everyNth: number;
    readonly pixels: number[][];
  };
};
const facts = { patchSize: 16, temporalPatchSize: 2, channels: 3, merge: 2, featureWidth: 64, imageToken: 632 };
const parameters: ImageParameters = {
  facts,
  minPixels: 4096,
  maxPixels: 262_144,
  mean: [0.5, 0.5, 0.5],
  deviation: [0.5, 0.5, 0.5],
  rescale: 1 / 255,
};
const target = { height: 128, width: 192 };
const png = async (width: number, height: number): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: '#204060' } })
    .png()
    .toBuffer();
const uri = (bytes: Uint8Array, kind = 'png'): string =>
  `data:image/${kind};base64,${Buffer.from(bytes).toString('base64')}`;

test('resample gives the bytes of the library that models were trained with', async (t) => {
  const image = await decodeImage(fixture('image-0.png'));
  t.deepEqual([image.width, image.height], [200, 120]);
  const { data } = await resample(image, target);
  t.deepEqual(Buffer.from(data), fixture('image-0.rgb'));
});

test('resample differs from a bilinear filter', async (t) => {
  const size = { ...target, fit: 'fill', kernel: 'linear' } as const;
  const bilinear = await sharp(fixture('image-0.png')).resize(size).raw().toBuffer();
  t.notDeepEqual(bilinear, fixture('image-0.rgb'));
});

test('resample averages over everything that a smaller pixel covers', async (t) => {
  // Columns of black and white: without averaging some would stay black or white.
  const board = {
    height: 64,
    width: 64,
    data: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (Math.floor(i / 3) & 1) * 255),
  };
  const { data } = await resample(board, { height: 16, width: 16 });
  t.true(data.every((value) => Math.abs(value - 127.5) < 32));
});

test('prepareRgb gives the values of the patches in their order, to the last bit of a float', async (t) => {
  const prepared = await prepareRgb(await decodeImage(fixture('image-0.png')), parameters);
  const { grid, features } = prepared;
  const pixels = prepared.pixels();
  const { everyNth, pixels: expected, grid: wanted } = cases['image-0'];
  t.deepEqual([grid.height, grid.width], [...wanted]);
  t.is(features, 24);
  const width = pixels.length / expected.length;
  t.is(width, 1536);
  let worst = 0;
  for (const [patch, values] of expected.entries())
    for (const [index, value] of values.entries())
      worst = Math.max(worst, Math.abs(value - pixels[patch * width + index * everyNth]!));
  // One byte more or less is 0.0078; the fixture has seven decimals.
  t.true(worst < 1e-6, `${worst}`);
});

test('prepareImage has one key for one image and another for another', async (t) => {
  const [a, again, b] = [await png(64, 64), await png(64, 64), await png(64, 96)];
  const keyOf = async (bytes: Buffer) => (await prepareImage(uri(bytes), parameters)).key;
  t.is(await keyOf(a), await keyOf(again));
  t.not(await keyOf(a), await keyOf(b));
  t.true((await keyOf(a)) < 0 && Number.isSafeInteger(await keyOf(a)));
});

test('decodeImage lays transparent images on white and makes grey ones red, green and blue', async (t) => {
  const clear = { r: 0, g: 0, b: 0, alpha: 0 };
  const transparent = await sharp({ create: { width: 2, height: 1, channels: 4, background: clear } })
    .png()
    .toBuffer();
  t.deepEqual([...(await decodeImage(transparent)).data], [255, 255, 255, 255, 255, 255]);
  const grey = await sharp(Buffer.from([7, 200]), { raw: { width: 2, height: 1, channels: 1 } })
    .png()
    .toBuffer();
  t.deepEqual([...(await decodeImage(grey)).data], [7, 7, 7, 200, 200, 200]);
});

test('decodeImage refuses what is no image, what ends early and what claims too many pixels', async (t) => {
  const whole = await png(64, 64);
  const bomb = Buffer.from(whole);
  bomb.writeUInt32BE(60_000, 16);
  bomb.writeUInt32BE(60_000, 20);
  const drawing = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
  for (const bytes of [Buffer.from('not an image'), fixture('image-0.png').subarray(0, 900), bomb, drawing]) {
    const error = await t.throwsAsync(() => decodeImage(bytes), { instanceOf: CortexError });
    t.is((error as CortexError).code, 'image_invalid');
  }
});

test('readDataUri refuses every address that is not an image in base64', (t) => {
  const bad = [
    'http://example.com/a.png',
    'https://example.com/a.png',
    'file:///etc/passwd',
    'data:,',
    'data:image/png,abc',
    'data:image/svg+xml;base64,AAAA',
    'data:text/plain;base64,AAAA',
    'data:image/png;base64,',
    'data:image/png;base64,{}',
  ];
  for (const url of bad) {
    const error = t.throws(() => readDataUri(url), { instanceOf: CortexError }, url);
    t.is((error as CortexError).code, 'image_invalid');
  }
  t.deepEqual(readDataUri('data:image/png;base64,AQID'), Buffer.from([1, 2, 3]));
});

test('prepareImage refuses an image that no whole blocks fit the bounds of', async (t) => {
  const line = await png(6000, 31);
  const error = await t.throwsAsync(() => prepareImage(uri(line), { ...parameters, maxPixels: 4096 }), {
    instanceOf: CortexError,
  });
  t.is((error as CortexError).code, 'image_invalid');
});
