import { blockOf } from '@helexa/core';
import { decodeInto, weightFormats } from '@helexa/graph';
import test from 'ava';
import { blockFiller } from './random-blocks.js';
import { RandomWords } from './random-words.js';

for (const format of weightFormats) {
  test(`blockFiller gives ${format} weights of the spread that is asked for`, (t) => {
    const { elements, bytes } = blockOf[format];
    const blocks = Math.ceil(65536 / elements / 4) * 4;
    const data = new Uint8Array(blocks * bytes);
    blockFiller(format, { center: 0, reach: 0.05 }, new RandomWords(7))(data);
    const values = new Float32Array(blocks * elements);
    decodeInto(format, data, values, 0);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    // An even spread of 0.05 deviates by 0.029; block scales of half to all of it lower that. Levels from -8 to 7 lie half a level low; uncentred ones
    // move the mean by 0.02, a scale that is off by two moves the deviation out of the bounds.
    t.true(Math.abs(mean) < 0.004, `mean ${mean}`);
    t.true(deviation > 0.016 && deviation < 0.033, `deviation ${deviation}`);
  });
}

test('RandomWords gives the same model for the same seed only', (t) => {
  const words = (seed: number) => {
    const out = new Uint32Array(64);
    new RandomWords(seed).fill(out);
    return out.join();
  };
  t.is(words(1), words(1));
  t.not(words(1), words(2));
});
