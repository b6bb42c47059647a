import { mirrored, type OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { elementCost, inputShape } from './rules.js';

/** Sum over ranks, in rank order, on every rank. */
export const allReduce: OpDefinition = {
  name: 'all_reduce',
  shape: (node) => [inputShape(node, 0)],
  shard: () => ({ outputs: [mirrored] }),
  acceptsPartial: () => true,
  cost: elementCost(1),
  reference(context) {
    const peers = context.peers('x');
    const y = context.output('y');
    forEachRow(context.rows, y, (row, at) => {
      for (let c = 0; c < y.width; c++) {
        let sum = 0;
        for (const x of peers) sum += x.data[x.offset + row * x.stride + c]!;
        y.data[at + c] = sum;
      }
    });
  },
};
