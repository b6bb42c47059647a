import type { OpDefinition } from '../op.js';
import { normaliseRuns, vectorOf } from './norm.js';
import { columnsOf, elementCost, expectVector, inputShape, neverPartial, shardMirrored } from './rules.js';

/** y = weight * x / sqrt(mean(x^2) + eps) over a whole row. */
export const rmsNorm: OpDefinition = {
  name: 'rms_norm',
  shape(node) {
    const x = inputShape(node, 0);
    expectVector(node, 'weight', columnsOf(x));
    return [x];
  },
  shard: (node) => shardMirrored(node, ['x'], 1, ['weight']),
  acceptsPartial: neverPartial,
  cost: elementCost(2, 'weight'),
  reference(context) {
    const x = context.input('x');
    normaliseRuns(context.rows, x, context.output('y'), vectorOf(context, 'weight'), x.width, context.param('eps'));
  },
};
