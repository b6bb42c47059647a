import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { normaliseRuns, vectorOf } from './norm.js';
import { alikeShape, columnsOf, elementCost, expectVector, neverPartial, shardMirrored } from './rules.js';

/** sum = residual + delta; y = rms_norm(sum). */
export const addRmsNorm: OpDefinition = {
  name: 'add_rms_norm',
  shape(node) {
    const residual = alikeShape(node, 2);
    expectVector(node, 'weight', columnsOf(residual));
    return [residual, residual];
  },
  shard: (node) => shardMirrored(node, ['residual', 'delta'], 2, ['weight']),
  acceptsPartial: neverPartial,
  cost: elementCost(3, 'weight'),
  reference(context) {
    const residual = context.input('residual');
    const delta = context.input('delta');
    const sum = context.output('sum');
    forEachRow(context.rows, sum, (row, at) => {
      const a = residual.offset + row * residual.stride;
      const b = delta.offset + row * delta.stride;
      for (let c = 0; c < sum.width; c++) sum.data[at + c] = residual.data[a + c]! + delta.data[b + c]!;
    });
    const weight = vectorOf(context, 'weight');
    normaliseRuns(context.rows, sum, context.output('y'), weight, sum.width, context.param('eps'));
  },
};
