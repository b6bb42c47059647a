import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { sigmoid } from './math.js';
import { alikeShape, attribute, columnsOf, elementCost, expect, inputShape, refuse, shardAlike } from './rules.js';

/** y = x * sigmoid(gate); with broadcast 1 the gate has one column, which every rank holds and which serves all of x. */
export const sigmoidMul: OpDefinition = {
  name: 'sigmoid_mul',
  shape(node) {
    if (!attribute(node, 'broadcast')) return [alikeShape(node, 2)];
    const [x, gate] = [inputShape(node, 0), inputShape(node, 1)];
    expect(
      node,
      gate.rows === x.rows && columnsOf(gate) === 1,
      () => `the gate is [${gate.rows}, ${columnsOf(gate)}]; [${x.rows}, 1] is wanted`,
    );
    return [x];
  },
  shard(node) {
    const [x, gate] = node.inputs;
    const mirroredGate = x !== undefined && gate?.kind === 'mirrored';
    if (mirroredGate && (node.attributes['broadcast'] || x.kind === 'partial')) return { outputs: [x] };
    if (node.attributes['broadcast']) return refuse('the gate of one column is divided', 'a mirrored gate is wanted');
    return shardAlike(node, ['x', 'gate'], 1);
  },
  // The gate is the same on every rank: it may multiply each addend.
  acceptsPartial: ([x, gate]) => x?.kind === 'partial' && gate?.kind === 'mirrored',
  cost: elementCost(4),
  operands: ({ n, param }) => ({ gate: { width: param('broadcast') ? 1 : n } }),
  reference(context) {
    const x = context.input('x');
    const gate = context.input('gate');
    const y = context.output('y');
    const step = gate.width === 1 ? 0 : 1;
    forEachRow(context.rows, y, (row, at) => {
      const xAt = x.offset + row * x.stride;
      const gateAt = gate.offset + row * gate.stride;
      for (let c = 0; c < y.width; c++) y.data[at + c] = x.data[xAt + c]! * sigmoid(gate.data[gateAt + c * step]!);
    });
  },
};
