import type { OpDefinition } from '../op.js';
import { vectorOf } from './norm.js';
import { expectRotary, rotaryParams, rotateHeads } from './rotary.js';
import { attribute, elementCost, inputShape, neverPartial, shardAlike, wholeHeads } from './rules.js';

/** Rotary embedding of every head by its row's position: x is [rows, heads * headDim]. */
export const rope: OpDefinition = {
  name: 'rope',
  shape(node) {
    const x = inputShape(node, 0);
    wholeHeads(node, x, attribute(node, 'headDim'));
    expectRotary(node);
    return [x];
  },
  shard: (node) => shardAlike(node, ['x'], 1, ['inverseFrequency']),
  acceptsPartial: neverPartial,
  cost: elementCost(2, 'inverseFrequency'),
  reference(context) {
    const frequencies = vectorOf(context, 'inverseFrequency');
    rotateHeads(context, context.input('x'), context.output('y'), frequencies, rotaryParams(context));
  },
};
