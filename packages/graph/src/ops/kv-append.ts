import type { OpDefinition } from '../op.js';
import { appendToCache } from './kv-cache.js';
import { alikeShape, attribute, elementCost, neverPartial, shardAlike, wholeHeads } from './rules.js';

/** Writes this step's keys and values, [rows, kvHeads * headDim] each, into the pages of each row's sequence. */
export const kvAppend: OpDefinition = {
  name: 'kv_append',
  state: {
    kind: 'kv',
    access: 'writes',
    kvLayer(node) {
      const headDim = attribute(node, 'headDim');
      return { kvHeads: wholeHeads(node, alikeShape(node, 2), headDim), headDim };
    },
  },
  shape(node) {
    wholeHeads(node, alikeShape(node, 2), attribute(node, 'headDim'));
    return [];
  },
  shard: (node) => shardAlike(node, ['k', 'v'], 0),
  acceptsPartial: neverPartial,
  cost: elementCost(0),
  reference(context) {
    appendToCache(context, context.param('layer'), context.input('k'), context.input('v'));
  },
};
