import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { vectorOf } from './norm.js';
import { columnsOf, elementCost, expectVector, inputShape, neverPartial, shardMirrored } from './rules.js';

/** y = weight * (x - mean) / sqrt(variance + eps) + bias over a whole row; the variance is the biased one. */
export const layerNorm: OpDefinition = {
  name: 'layer_norm',
  shape(node) {
    const x = inputShape(node, 0);
    expectVector(node, 'weight', columnsOf(x));
    expectVector(node, 'bias', columnsOf(x));
    return [x];
  },
  shard: (node) => shardMirrored(node, ['x'], 1, ['weight', 'bias']),
  acceptsPartial: neverPartial,
  cost: elementCost(4, 'weight', 'bias'),
  reference(context) {
    const x = context.input('x');
    const y = context.output('y');
    const weight = vectorOf(context, 'weight');
    const bias = vectorOf(context, 'bias');
    const eps = context.param('eps');
    forEachRow(context.rows, y, (row, at) => {
      const from = x.offset + row * x.stride;
      let sum = 0;
      for (let c = 0; c < x.width; c++) sum += x.data[from + c]!;
      const mean = sum / x.width;
      let squares = 0;
      for (let c = 0; c < x.width; c++) squares += (x.data[from + c]! - mean) ** 2;
      const factor = 1 / Math.sqrt(squares / x.width + eps);
      for (let c = 0; c < x.width; c++) y.data[at + c] = weight[c]! * ((x.data[from + c]! - mean) * factor) + bias[c]!;
    });
  },
};
