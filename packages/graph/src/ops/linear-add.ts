import { type OpDefinition, sameState } from '../op.js';
import { forEachRow } from './elementwise.js';
import { multiply, productCost, productShape } from './product.js';
import {
  biasFits,
  columnsOf,
  expect,
  expectVector,
  inputShape,
  isState,
  neverPartial,
  refuse,
  shardProduct,
} from './rules.js';

/** y = residual + x . W^T + bias. */
export const linearAdd: OpDefinition = {
  name: 'linear_add',
  shape(node) {
    const y = productShape(node);
    const residual = inputShape(node, 1);
    expect(
      node,
      residual.rows === y.rows && columnsOf(residual) === columnsOf(y),
      () => `the residual is [${residual.rows}, ${columnsOf(residual)}]; [${y.rows}, ${columnsOf(y)}] is wanted`,
    );
    if (node.weights['bias']) expectVector(node, 'bias', columnsOf(y));
    return [residual];
  },
  shard(node) {
    const y = shardProduct(node, 'matrix');
    if (!isState(y)) return y;
    const residual = node.inputs[1];
    if (!residual || !sameState(residual, y)) return refuse('product and residual differ', 'equal states are wanted');
    return biasFits(node.weights['bias'], y) ?? { outputs: [y] };
  },
  acceptsPartial: neverPartial,
  cost: productCost,
  reference(context) {
    const residual = context.input('residual');
    const y = context.output('y');
    const product = { data: new Float64Array(context.rows * y.width), offset: 0, stride: y.width, width: y.width };
    const bias = context.weight('bias')[0]?.data ?? null;
    multiply(context.rows, context.input('x'), context.weight('matrix'), bias, product);
    // The product is whole before y is written: y may stand where the residual does.
    forEachRow(context.rows, y, (row, at) => {
      const from = residual.offset + row * residual.stride;
      for (let c = 0; c < y.width; c++) {
        y.data[at + c] = residual.data[from + c]! + product.data[row * y.width + c]!;
      }
    });
  },
};
