import test from 'ava';
import { layoutStep } from '../step.js';
import { tinyLimits } from '../testing/tiny-model.js';
import { writeChunks } from './write-chunks.js';

const chunks = [
  { slot: 1, tokens: [7, 8, 9], past: 2 },
  { slot: 0, tokens: [5], past: 0 },
];

/** The words from `field` on after a step was written. */
function written(sampledRows: 'last' | 'every') {
  const layout = layoutStep({ ...tinyLimits, maxSampled: 4 });
  const buffer = new ArrayBuffer(layout.size * 4);
  const samples = writeChunks({ layout, buffer }, chunks, sampledRows);
  const words = (start: number, count: number) => [...new Int32Array(buffer, start * 4, count)];
  return { layout, samples, words };
}

test('writeChunks samples the last row of each chunk, or every row, for the slot that the row is of', (t) => {
  const last = written('last');
  t.is(last.samples, 2);
  t.deepEqual(last.words(last.layout.sampleRow, 2), [2, 3]);
  t.deepEqual(last.words(last.layout.sampleSlot, 2), [1, 0]);
  const every = written('every');
  t.is(every.samples, 4);
  t.deepEqual(every.words(every.layout.sampleRow, 4), [0, 1, 2, 3]);
  t.deepEqual(every.words(every.layout.sampleSlot, 4), [1, 1, 1, 0]);
});

test('writeChunks counts positions on from what is in the cache, on all three axes', (t) => {
  const { layout, words } = written('last');
  for (let axis = 0; axis < 3; axis++)
    t.deepEqual(words(layout.positions + axis * layout.limits.maxRows, 4), [2, 3, 4, 0]);
  t.deepEqual(words(layout.sequenceLength, 2), [5, 1]);
});
