import type { OpDefinition } from '../op.js';
import { header } from '../step.js';
import { attribute, columnsOf, elementCost, expect, inputShape, neverPartial, shardMirrored } from './rules.js';

/**
 * The merge * merge patches of a block side by side: [patches, width] to [features, width * merge^2]. Patches stand block by
 * block, so a row is that many consecutive ones. What lies beyond the step's patches counts as zeros.
 */
export const patchMerge: OpDefinition = {
  name: 'patch_merge',
  shape(node) {
    const x = inputShape(node, 0);
    const merge = attribute(node, 'merge');
    expect(node, merge >= 1, () => `blocks of ${merge} patches; 1 or more are wanted`);
    expect(node, x.rows === 'patches', () => `the input has a row for each of '${x.rows}'; patches are wanted`);
    return [{ rows: 'features', segments: [columnsOf(x) * merge * merge] }];
  },
  shard: (node) => shardMirrored(node, ['x'], 1),
  acceptsPartial: neverPartial,
  cost: elementCost(0),
  operands: () => ({ x: { rows: 'patches' } }),
  reference(context) {
    const x = context.input('x');
    const y = context.output('y');
    const block = context.param('merge') ** 2;
    const { layout, i32 } = context.step;
    const patches = i32[layout.header + header.patches]!;
    for (let row = 0; row < context.rows; row++) {
      const at = y.offset + row * y.stride;
      for (let i = 0; i < block; i++) {
        const from = x.offset + (row * block + i) * x.stride;
        if (row * block + i < patches) y.data.set(x.data.subarray(from, from + x.width), at + i * x.width);
        else y.data.fill(0, at + i * x.width, at + (i + 1) * x.width);
      }
    }
  },
};
