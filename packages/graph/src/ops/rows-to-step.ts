import type { OpDefinition } from '../op.js';
import type { StepLayout } from '../step.js';
import type { RowSymbol } from '../value.js';
import { activationBytes, columnsOf, expect, inputShape, neverPartial, shardMirrored } from './rules.js';

/** An op that copies rows of x into the step's buffer, where the caller reads them; rank 0 only. */
export function rowsToStep({
  rows,
  wanted,
  placeOf,
  ...op
}: Pick<OpDefinition, 'name' | 'state'> & {
  readonly rows: RowSymbol;
  /** What such rows are called in a refusal. */
  readonly wanted: string;
  /** Element of the buffer, counted in float32, where row `row` of `width` columns goes. */
  readonly placeOf: (layout: StepLayout, row: number, width: number) => number;
}): OpDefinition {
  return {
    ...op,
    shape(node) {
      const x = inputShape(node, 0);
      expect(node, x.rows === rows, () => `the input has a row for each of '${x.rows}'; ${wanted} are wanted`);
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
        f32.set(x.data.subarray(from, from + x.width), placeOf(layout, row, x.width));
      }
    },
  };
}
