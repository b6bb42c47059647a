import { mirrored, type OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { activationBytes, attribute, expect, neverPartial } from './rules.js';

/** The pixels of each patch, out of the step buffer. */
export const loadPatches: OpDefinition = {
  name: 'load_patches',
  shape(node) {
    const width = attribute(node, 'width');
    expect(node, width >= 1, () => `patches of ${width} values; 1 or more are wanted`);
    return [{ rows: 'patches', segments: [width] }];
  },
  shard: () => ({ outputs: [mirrored] }),
  acceptsPartial: neverPartial,
  cost: (node) => ({ macs: 0, weightBytes: 0, activationBytes: activationBytes(node) }),
  reference(context) {
    const y = context.output('y');
    const { layout, f32 } = context.step;
    forEachRow(context.rows, y, (row, at) => {
      const from = layout.pixels + row * y.width;
      y.data.set(f32.subarray(from, from + y.width), at);
    });
  },
};
