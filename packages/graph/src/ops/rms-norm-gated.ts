import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { silu } from './math.js';
import { normaliseRuns, vectorOf } from './norm.js';
import { alikeShape, attribute, elementCost, expectVector, neverPartial, shardAlike, wholeHeads } from './rules.js';

/** y = head_norm(x) * silu(z): the norm first, then the gate. */
export const rmsNormGated: OpDefinition = {
  name: 'rms_norm_gated',
  shape(node) {
    const x = alikeShape(node, 2);
    const headDim = attribute(node, 'headDim');
    wholeHeads(node, x, headDim);
    expectVector(node, 'weight', headDim);
    return [x];
  },
  shard: (node) => shardAlike(node, ['x', 'z'], 1, ['weight']),
  acceptsPartial: neverPartial,
  cost: elementCost(7, 'weight'),
  reference(context) {
    const x = context.input('x');
    const z = context.input('z');
    const y = context.output('y');
    const headDim = context.param('headDim');
    // Normalised aside first, so that y may stand where z does.
    const normalised = { data: new Float64Array(context.rows * x.width), offset: 0, stride: x.width, width: x.width };
    normaliseRuns(context.rows, x, normalised, vectorOf(context, 'weight'), headDim, context.param('eps'));
    forEachRow(context.rows, y, (row, at) => {
      const zAt = z.offset + row * z.stride;
      for (let c = 0; c < y.width; c++) {
        y.data[at + c] = normalised.data[row * x.width + c]! * silu(z.data[zAt + c]!);
      }
    });
  },
};
