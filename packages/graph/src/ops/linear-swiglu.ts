import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { silu } from './math.js';
import { multiply, productCost, productShape } from './product.js';
import { expect, isState, neverPartial, refuse, shardProduct } from './rules.js';

/** y = silu(x . gate^T) * (x . up^T); the matrix has exactly the segments gate and up. */
export const linearSwiglu: OpDefinition = {
  name: 'linear_swiglu',
  shape(node) {
    const { rows, segments } = productShape(node);
    expect(
      node,
      segments.length === 2 && segments[0] === segments[1],
      () => `the matrix has segments of ${segments.join(', ')} rows; two alike, gate and up, are wanted`,
    );
    return [{ rows, segments: [segments[0]!] }];
  },
  shard(node) {
    const y = shardProduct(node, 'matrix');
    if (!isState(y)) return y;
    if (y.kind === 'partial') return refuse('the product is partial', 'a product of whole rows is wanted');
    return { outputs: [y] };
  },
  acceptsPartial: neverPartial,
  cost: productCost,
  reference(context) {
    const y = context.output('y');
    const width = 2 * y.width;
    const both = { data: new Float64Array(context.rows * width), offset: 0, stride: width, width };
    multiply(context.rows, context.input('x'), context.weight('matrix'), null, both);
    forEachRow(context.rows, y, (row, at) => {
      for (let c = 0; c < y.width; c++) {
        y.data[at + c] = silu(both.data[row * width + c]!) * both.data[row * width + y.width + c]!;
      }
    });
  },
};
