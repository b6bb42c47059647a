import type { OpDefinition } from '../op.js';
import { activationBytes, columnsOf, expect, inputShape, neverPartial, shardMirrored } from './rules.js';

/** Rows of x into the step buffer, where the caller reads them and `embed` finds them; rank 0 only. */
export const storeFeatures: OpDefinition = {
  name: 'store_features',
  state: { kind: 'features', access: 'writes' },
  shape(node) {
    const x = inputShape(node, 0);
    expect(node, x.rows === 'features', () => `the input has a row for each of '${x.rows}'; merged patches are wanted`);
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
      f32.set(x.data.subarray(from, from + x.width), layout.features + row * x.width);
    }
  },
};
