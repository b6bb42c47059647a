import type { OpDefinition } from '../op.js';
import { pageTokens } from '../program.js';
import { activationBytes, attribute, columnsOf, inputShape, neverPartial, shardAlike, wholeHeads } from './rules.js';
import { pageOf, sequencesOf } from './sequences.js';
import { softmax } from './softmax.js';

/**
 * Causal grouped-query attention of this step's rows over their sequence's pages: q is [rows, heads * headDim], query head h
 * reads kv head floor(h * kvHeads / heads). Row i of a sequence sees tokens 0 to length - rows + i, or the last `window` of
 * them. Rows of no sequence keep what y held.
 */
export const attend: OpDefinition = {
  name: 'attend',
  state: { kind: 'kv', access: 'reads' },
  shape(node) {
    const q = inputShape(node, 0);
    wholeHeads(node, q, attribute(node, 'headDim'));
    return [q];
  },
  shard: (node) => shardAlike(node, ['q'], 1),
  acceptsPartial: neverPartial,
  cost: (node) => ({
    macs: 2 * node.rows * node.cacheTokens * columnsOf(node.inputs[0]!),
    weightBytes: 0,
    activationBytes: activationBytes(node),
  }),
  reference(context) {
    const q = context.input('q');
    const y = context.output('y');
    const cache = context.cache(context.param('layer'));
    const headDim = context.param('headDim');
    const scale = context.param('scale');
    const window = context.param('window');
    const heads = q.width / headDim;
    const group = heads / cache.kvHeads;
    for (const { slot, row, rows, length } of sequencesOf(context.step)) {
      for (let i = 0; i < rows; i++) {
        const last = length - rows + i;
        const first = window > 0 ? Math.max(0, last - window + 1) : 0;
        const scores = new Float64Array(last - first + 1);
        for (let head = 0; head < heads; head++) {
          const kvHead = Math.floor(head / group);
          const from = q.offset + (row + i) * q.stride + head * headDim;
          const to = y.offset + (row + i) * y.stride + head * headDim;
          for (let token = first; token <= last; token++) {
            const at = cache.at(pageOf(context.step, slot, token), token % pageTokens, kvHead);
            let dot = 0;
            for (let c = 0; c < headDim; c++) dot += q.data[from + c]! * cache.keys[at + c]!;
            scores[token - first] = scale * dot;
          }
          softmax(scores);
          // q of this head is no longer needed: y may stand where q does.
          y.data.fill(0, to, to + headDim);
          for (let token = first; token <= last; token++) {
            const at = cache.at(pageOf(context.step, slot, token), token % pageTokens, kvHead);
            const weight = scores[token - first]!;
            for (let c = 0; c < headDim; c++) y.data[to + c]! += weight * cache.values[at + c]!;
          }
        }
      }
    }
  },
};
