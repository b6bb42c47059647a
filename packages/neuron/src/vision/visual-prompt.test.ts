import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CortexError } from '@helexa/core';
import test from 'ava';
import { FlightImages, promptKeys } from '../engine/flight-images.js';
import type { PreparedImage } from './prepare-image.js';
import { expandPrompt } from './visual-prompt.js';

interface Case {
  readonly idsBeforeExpansion: number[];
  readonly ids: number[];
  readonly grid_thw: readonly (readonly [number, number, number])[];
  readonly positions: number[][];
  readonly ropeDelta: number;
}

const { prompts } = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../fixtures/vision/cases.json', import.meta.url)), 'utf8'),
) as { readonly prompts: readonly Case[] };
const facts = { imageToken: 632, merge: 2 };
const imageOf = (height: number, width: number, key = -1): PreparedImage => ({
  grid: { height, width },
  pixels: () => new Float32Array(0),
  features: (height * width) / 4,
  key,
});

test('expandPrompt gives the tokens and positions that the reference has', (t) => {
  for (const one of prompts) {
    const images = one.grid_thw.map(([, height, width]) => imageOf(height, width));
    const { prompt, visual } = expandPrompt(one.idsBeforeExpansion, images, facts);
    t.deepEqual([...prompt], one.ids);
    t.deepEqual(
      visual.positions.map((axis) => [...axis]),
      one.positions,
    );
    t.is(visual.positionDelta, one.ropeDelta);
  }
});

test('expandPrompt refuses a prompt whose places for images are not as many as its images', (t) => {
  for (const images of [[], [imageOf(2, 2), imageOf(2, 2)]]) {
    const error = t.throws(() => expandPrompt([1, 632, 2], images, facts), { instanceOf: CortexError });
    t.is((error as CortexError).code, 'invalid_request_body');
  }
});

test('FlightImages asks for the images that are not in the cache, one after another', (t) => {
  const { visual } = expandPrompt([1, 632, 2, 632, 3], [imageOf(2, 2), imageOf(2, 4)], facts);
  const images = new FlightImages(visual);
  const [first, second] = visual.images;
  t.is(images.missing(0), first!);
  t.is(images.missing(2), second!);
  t.is(images.missing(5), null);
  images.put(first!, Float32Array.from([1, 2]));
  t.is(images.missing(0), second!);
  images.put(second!, Float32Array.from([3, 4, 5, 6]));
  t.is(images.missing(0), null);
  const features = [0, 1, 2, 3, 4, 5].map((token) => images.feature(token));
  t.deepEqual(
    features.map((row) => row && [...row]),
    [null, [1, 2], null, [3, 4], [5, 6], null],
  );
});

test('FlightImages forgets the features of an image that every sequence has computed', (t) => {
  const { visual } = expandPrompt([1, 632, 2], [imageOf(2, 2)], facts);
  const images = new FlightImages(visual);
  images.put(visual.images[0]!, Float32Array.from([1, 2]));
  images.release(1);
  t.deepEqual([...images.feature(1)!], [1, 2]);
  images.release(2);
  t.is(images.feature(1), null);
  t.is(images.missing(2), null);
});

test('FlightImages counts on after the prompt from where its last image ends', (t) => {
  const { prompt, visual } = expandPrompt([1, 632, 2], [imageOf(4, 8)], facts);
  const images = new FlightImages(visual);
  // Eight feature rows take four steps: the longer side.
  t.is(prompt.length, 10);
  t.deepEqual([images.position(0, 9), images.position(1, 9), images.position(2, 9)], [5, 5, 5]);
  t.deepEqual([images.position(0, 10), images.position(2, 11)], [6, 7]);
  t.deepEqual([images.position(0, 8), images.position(1, 8), images.position(2, 8)], [1, 2, 4]);
});

test('promptKeys tells prompts apart by their images', (t) => {
  const keys = (key: number) => {
    const { prompt, visual } = expandPrompt([1, 632, 2], [imageOf(2, 4, key)], facts);
    return promptKeys(prompt, visual);
  };
  t.deepEqual(keys(-7), [1, -7, -7, 2]);
  t.notDeepEqual(keys(-7), keys(-8));
});
