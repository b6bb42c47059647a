import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { vectorOf } from './norm.js';
import { placeOf } from './patch-place.js';
import {
  attribute,
  elementCost,
  expect,
  expectVector,
  inputShape,
  neverPartial,
  shardAlike,
  wholeHeads,
} from './rules.js';

/**
 * Rotary embedding of patches by their place in the image: x is [patches, heads * headDim]. Pairs (i, i + headDim / 2): the
 * first half of the angles comes from the patch's row in its image, the second from its column, each with the headDim / 4
 * inverse frequencies.
 */
export const rope2d: OpDefinition = {
  name: 'rope_2d',
  shape(node) {
    const x = inputShape(node, 0);
    const headDim = attribute(node, 'headDim');
    wholeHeads(node, x, headDim);
    expect(node, headDim % 4 === 0, () => `heads of ${headDim}; a multiple of 4 is wanted`);
    expectVector(node, 'inverseFrequency', headDim / 4);
    return [x];
  },
  shard: (node) => shardAlike(node, ['x'], 1, ['inverseFrequency']),
  acceptsPartial: neverPartial,
  cost: elementCost(2, 'inverseFrequency'),
  reference(context) {
    const x = context.input('x');
    const y = context.output('y');
    const frequencies = vectorOf(context, 'inverseFrequency');
    const headDim = context.param('headDim');
    const [half, quarter] = [headDim / 2, headDim / 4];
    forEachRow(context.rows, y, (row, at) => {
      for (let i = 0; i < half; i++) {
        const position = placeOf(context.step, row, i < quarter ? 'y' : 'x');
        const angle = Math.fround(position * frequencies[i % quarter]!);
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        for (let start = 0; start < x.width; start += headDim) {
          const from = x.offset + row * x.stride + start + i;
          const [a, b] = [x.data[from]!, x.data[from + half]!];
          y.data[at + start + i] = a * cos - b * sin;
          y.data[at + start + half + i] = b * cos + a * sin;
        }
      }
    });
  },
};
