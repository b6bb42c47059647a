import type { OpDefinition } from '../op.js';
import { normaliseRuns, vectorOf } from './norm.js';
import { attribute, elementCost, expectVector, inputShape, neverPartial, shardAlike, wholeHeads } from './rules.js';

/** rms_norm of each head by itself: x is [rows, heads * headDim], the weight [headDim]. */
export const headNorm: OpDefinition = {
  name: 'head_norm',
  shape(node) {
    const x = inputShape(node, 0);
    const headDim = attribute(node, 'headDim');
    wholeHeads(node, x, headDim);
    expectVector(node, 'weight', headDim);
    return [x];
  },
  shard: (node) => shardAlike(node, ['x'], 1, ['weight']),
  acceptsPartial: neverPartial,
  cost: elementCost(2, 'weight'),
  reference(context) {
    const weight = vectorOf(context, 'weight');
    const { rows } = context;
    normaliseRuns(
      rows,
      context.input('x'),
      context.output('y'),
      weight,
      context.param('headDim'),
      context.param('eps'),
    );
  },
};
