import { mirrored, type OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { elementCost, inputShape, neverPartial, refuse } from './rules.js';

/**
 * Columns of every rank side by side; only rank 0's y is defined. `columnStart` is where this rank's columns begin in it.
 * A rank's own width cannot tell the others': the shard pass says in the attribute `columns` how many there are in all.
 */
export const gather: OpDefinition = {
  name: 'gather',
  shape(node) {
    const { rows, segments } = inputShape(node, 0);
    const columns = node.attributes['columns'];
    return [{ rows, segments: columns === undefined ? segments : [columns] }];
  },
  shard: (node) =>
    node.inputs[0]?.kind === 'split'
      ? { outputs: [mirrored] }
      : refuse("'x' is not divided by columns", "a split 'x' is wanted"),
  acceptsPartial: neverPartial,
  cost: elementCost(0),
  reference(context) {
    if (context.rank !== 0) return;
    const peers = context.peers('x');
    const y = context.output('y');
    forEachRow(context.rows, y, (row, at) => {
      let column = 0;
      for (const x of peers) {
        const from = x.offset + row * x.stride;
        y.data.set(x.data.subarray(from, from + x.width), at + column);
        column += x.width;
      }
    });
  },
};
