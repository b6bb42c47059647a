import type { OpDefinition } from '../op.js';
import { multiply, productCost, productShape } from './product.js';
import { biasFits, columnsOf, expectVector, isState, neverPartial, shardProduct } from './rules.js';

/** y = x . W^T + bias over 1 to 4 segments whose rows are concatenated. */
export const linear: OpDefinition = {
  name: 'linear',
  shape(node) {
    const y = productShape(node);
    if (node.weights['bias']) expectVector(node, 'bias', columnsOf(y));
    return [y];
  },
  shard(node) {
    const y = shardProduct(node, 'matrix');
    if (!isState(y)) return y;
    return biasFits(node.weights['bias'], y) ?? { outputs: [y] };
  },
  acceptsPartial: neverPartial,
  cost: productCost,
  reference(context) {
    const bias = context.weight('bias')[0]?.data ?? null;
    multiply(context.rows, context.input('x'), context.weight('matrix'), bias, context.output('y'));
  },
};
