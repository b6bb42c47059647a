import type { OpDefinition } from '../op.js';
import { placeOf } from './patch-place.js';
import { activationBytes, alikeShape, attribute, columnsOf, neverPartial, shardAlike, wholeHeads } from './rules.js';
import { softmax } from './softmax.js';

/**
 * Bidirectional attention among the patches of one image: q, k, v and y are [patches, heads * headDim]. Patches
 * of another image are not seen.
 */
export const attendDense: OpDefinition = {
  name: 'attend_dense',
  shape(node) {
    const q = alikeShape(node, 3);
    wholeHeads(node, q, attribute(node, 'headDim'));
    return [q];
  },
  shard: (node) => shardAlike(node, ['q', 'k', 'v'], 1),
  acceptsPartial: neverPartial,
  cost: (node) => ({
    macs: 2 * node.rows * node.rows * columnsOf(node.inputs[0]!),
    weightBytes: 0,
    activationBytes: activationBytes(node),
  }),
  reference(context) {
    const [q, k, v] = [context.input('q'), context.input('k'), context.input('v')];
    const y = context.output('y');
    const headDim = context.param('headDim');
    const image = (row: number): number => placeOf(context.step, row, 'image');
    for (let row = 0; row < context.rows; row++) {
      const seen = Array.from({ length: context.rows }, (_, other) => other).filter((o) => image(o) === image(row));
      for (let start = 0; start < q.width; start += headDim) {
        const scores = Float64Array.from(seen, (other) => {
          let dot = 0;
          for (let c = start; c < start + headDim; c++) {
            dot += q.data[q.offset + row * q.stride + c]! * k.data[k.offset + other * k.stride + c]!;
          }
          return context.param('scale') * dot;
        });
        softmax(scores);
        for (let c = start; c < start + headDim; c++) {
          let sum = 0;
          for (const [i, other] of seen.entries()) sum += scores[i]! * v.data[v.offset + other * v.stride + c]!;
          y.data[y.offset + row * y.stride + c] = sum;
        }
      }
    }
  },
};
