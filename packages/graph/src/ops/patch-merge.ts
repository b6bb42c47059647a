import type { OpDefinition } from '../op.js';
import { attribute, columnsOf, elementCost, expect, inputShape, neverPartial, shardMirrored } from './rules.js';

/**
 * The merge * merge patches of a block side by side: [patches, width] to [patches / merge^2, width * merge^2]. Patches
 * stand block by block, so a row is that many consecutive ones. Rows of y beyond are zeros.
 */
export const patchMerge: OpDefinition = {
  name: 'patch_merge',
  shape(node) {
    const x = inputShape(node, 0);
    const merge = attribute(node, 'merge');
    expect(node, merge >= 1, () => `blocks of ${merge} patches; 1 or more are wanted`);
    return [{ rows: x.rows, segments: [columnsOf(x) * merge * merge] }];
  },
  shard: (node) => shardMirrored(node, ['x'], 1),
  acceptsPartial: neverPartial,
  cost: elementCost(0),
  reference(context) {
    const x = context.input('x');
    const y = context.output('y');
    const block = context.param('merge') ** 2;
    for (let row = 0; row < context.rows; row++) {
      const at = y.offset + row * y.stride;
      for (let i = 0; i < block; i++) {
        const patch = row * block + i;
        const from = x.offset + patch * x.stride;
        if (patch < context.rows) y.data.set(x.data.subarray(from, from + x.width), at + i * x.width);
        else y.data.fill(0, at + i * x.width, at + (i + 1) * x.width);
      }
    }
  },
};
