import type { OpDefinition } from '../op.js';
import { activationBytes, columnsOf, expect, inputShape, neverPartial, shardMirrored } from './rules.js';

/** Row i of x becomes the first columns of row i of the exposed logits: how a model without its head answers; rank 0 only. */
export const exposeRows: OpDefinition = {
  name: 'expose_rows',
  shape(node) {
    const x = inputShape(node, 0);
    expect(node, x.rows === 'sampled', () => `the input has a row for each of '${x.rows}'; sampled rows are wanted`);
    return [];
  },
  shard: (node) => shardMirrored(node, ['x'], 0),
  acceptsPartial: neverPartial,
  cost: (node) => ({
    macs: node.rows * columnsOf(node.inputs[0]!),
    weightBytes: 0,
    activationBytes: activationBytes(node),
  }),
  reference(context) {
    if (context.rank !== 0) return;
    const x = context.input('x');
    const { layout, f32 } = context.step;
    for (let row = 0; row < context.rows; row++) {
      const from = x.offset + row * x.stride;
      f32.set(x.data.subarray(from, from + x.width), layout.logits + row * layout.limits.vocab);
    }
  },
};
