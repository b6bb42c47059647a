import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { attribute, columnsOf, elementCost, expect, inputShape, neverPartial, shardMirrored } from './rules.js';
import { softmax } from './softmax.js';

/**
 * The k most probable experts of each row under the softmax of all logits. choice is [rows, 2k]: k expert indices, best
 * first and of equals the lower one, then their k probabilities, divided by their sum when `renormalise`.
 */
export const routerTopK: OpDefinition = {
  name: 'router_topk',
  shape(node) {
    const logits = inputShape(node, 0);
    const k = attribute(node, 'k');
    expect(
      node,
      k >= 1 && k <= columnsOf(logits),
      () => `${k} of ${columnsOf(logits)} experts; between 1 and all are wanted`,
    );
    return [{ rows: logits.rows, segments: [k, k] }];
  },
  shard: (node) => shardMirrored(node, ['logits'], 1),
  acceptsPartial: neverPartial,
  cost: elementCost(3),
  reference(context) {
    const logits = context.input('logits');
    const choice = context.output('choice');
    const k = context.param('k');
    forEachRow(context.rows, choice, (row, at) => {
      const from = logits.offset + row * logits.stride;
      const p = logits.data.slice(from, from + logits.width);
      softmax(p);
      const best = Array.from(p.keys())
        .sort((a, b) => p[b]! - p[a]! || a - b)
        .slice(0, k);
      const sum = context.param('renormalise') ? best.reduce((total, e) => total + p[e]!, 0) : 1;
      for (const [i, e] of best.entries()) {
        choice.data[at + i] = e;
        choice.data[at + k + i] = p[e]! / sum;
      }
    });
  },
};
