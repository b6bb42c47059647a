import { type Matrix, type OpDefinition, type ReferenceContext, sameState } from '../op.js';
import { appendToCache } from './kv-cache.js';
import { normaliseRuns, vectorOf } from './norm.js';
import { expectRotary, rotaryParams, rotateHeads } from './rotary.js';
import {
  attribute,
  columnsOf,
  elementCost,
  expect,
  expectVector,
  inputShape,
  neverPartial,
  refuse,
  shardAlike,
  wholeHeads,
} from './rules.js';

/**
 * head_norm (where its weight is there) and rope of q and k, then kv_append of k and v; y is the rotated q. q is
 * [rows, heads * headDim], k and v are [rows, kvHeads * headDim].
 */
export const qkNormRopeAppend: OpDefinition = {
  name: 'qk_norm_rope_append',
  state: {
    kind: 'kv',
    access: 'writes',
    kvLayer(node) {
      const headDim = attribute(node, 'headDim');
      return { kvHeads: wholeHeads(node, inputShape(node, 1), headDim), headDim };
    },
  },
  shape(node) {
    const [q, k, v] = [inputShape(node, 0), inputShape(node, 1), inputShape(node, 2)];
    const headDim = attribute(node, 'headDim');
    wholeHeads(node, q, headDim);
    wholeHeads(node, k, headDim);
    expect(
      node,
      columnsOf(k) === columnsOf(v) && k.rows === q.rows && v.rows === q.rows,
      () => `k is ${columnsOf(k)} wide and v ${columnsOf(v)}; equal widths are wanted`,
    );
    for (const role of ['qNorm', 'kNorm']) if (node.weights[role]) expectVector(node, role, headDim);
    expectRotary(node);
    return [q];
  },
  shard(node) {
    const [q, k, v] = node.inputs;
    if (!q || !k || !v || !sameState(q, k) || !sameState(k, v))
      return refuse('q, k and v differ', 'inputs divided alike are wanted');
    return shardAlike(node, ['q', 'k', 'v'], 1, ['qNorm', 'kNorm', 'inverseFrequency']);
  },
  acceptsPartial: neverPartial,
  cost: elementCost(4, 'qNorm', 'kNorm', 'inverseFrequency'),
  operands({ param, cache }) {
    const { kvHeads, headDim } = cache(param('layer'));
    return { k: { width: kvHeads * headDim }, v: { width: kvHeads * headDim } };
  },
  reference(context) {
    const k = context.input('k');
    const rotatedK = { data: new Float64Array(context.rows * k.width), offset: 0, stride: k.width, width: k.width };
    normaliseAndRotate(context, 'kNorm', k, rotatedK);
    appendToCache(context, context.param('layer'), rotatedK, context.input('v'));
    normaliseAndRotate(context, 'qNorm', context.input('q'), context.output('y'));
  },
};

function normaliseAndRotate(context: ReferenceContext, role: string, x: Matrix, y: Matrix): void {
  const options = rotaryParams(context);
  const frequencies = vectorOf(context, 'inverseFrequency');
  const [norm] = context.weight(role);
  if (norm) normaliseRuns(context.rows, x, y, norm.data, options.headDim, context.param('eps'));
  rotateHeads(context, norm ? y : x, y, frequencies, options);
}
