import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { elementCost, expect, inputShape, shardAlike } from './rules.js';

/** y[i] = x[sampleRow[i]]: the rows whose next token is chosen. */
export const gatherRows: OpDefinition = {
  name: 'gather_rows',
  shape(node) {
    const x = inputShape(node, 0);
    expect(node, x.rows === 'rows', () => `the input has a row for each of '${x.rows}'; one for each token is wanted`);
    return [{ rows: 'sampled', segments: x.segments }];
  },
  shard: (node) => shardAlike(node, ['x'], 1),
  // Choosing rows commutes with the sum, and fewer rows are summed after it.
  acceptsPartial: () => true,
  cost: elementCost(0),
  operands: () => ({ x: { rows: 'rows' } }),
  reference(context) {
    const x = context.input('x');
    const y = context.output('y');
    const { layout, i32 } = context.step;
    forEachRow(context.rows, y, (row, at) => {
      const from = x.offset + i32[layout.sampleRow + row]! * x.stride;
      y.data.set(x.data.subarray(from, from + y.width), at);
    });
  },
};
