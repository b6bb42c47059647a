import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { vectorOf } from './norm.js';
import { columnsOf, elementCost, expectVector, inputShape, neverPartial, shardMirrored } from './rules.js';

/** y = x + bias, after a reduction. */
export const addBias: OpDefinition = {
  name: 'add_bias',
  shape(node) {
    const x = inputShape(node, 0);
    expectVector(node, 'bias', columnsOf(x));
    return [x];
  },
  shard: (node) => shardMirrored(node, ['x'], 1, ['bias']),
  acceptsPartial: neverPartial,
  cost: elementCost(1, 'bias'),
  reference(context) {
    const x = context.input('x');
    const y = context.output('y');
    const bias = vectorOf(context, 'bias');
    forEachRow(context.rows, y, (row, at) => {
      const from = x.offset + row * x.stride;
      for (let c = 0; c < y.width; c++) y.data[at + c] = x.data[from + c]! + bias[c]!;
    });
  },
};
