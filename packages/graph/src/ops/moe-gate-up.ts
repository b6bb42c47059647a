import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { expertCost } from './experts.js';
import { silu } from './math.js';
import { multiplyRows } from './product.js';
import {
  attribute,
  columnsOf,
  expect,
  inputShape,
  isState,
  neverPartial,
  refuse,
  shardProduct,
  weightOf,
} from './rules.js';

/**
 * silu(x . gate_e^T) * (x . up_e^T) for each chosen expert e: [rows, k * inter]. The matrix has the segments gate and up,
 * each [experts * inter, hidden] with the experts one after another.
 */
export const moeGateUp: OpDefinition = {
  name: 'moe_gate_up',
  shape(node) {
    const x = inputShape(node, 0);
    const choice = inputShape(node, 1);
    const matrix = weightOf(node, 'matrix');
    const k = attribute(node, 'k');
    const experts = attribute(node, 'experts');
    const [gate, up] = matrix.segments;
    expect(
      node,
      matrix.segments.length === 2 &&
        gate!.rows === up!.rows &&
        gate!.rows % experts === 0 &&
        matrix.cols === columnsOf(x),
      () =>
        `'${matrix.slot}' is ${matrix.segments.map((s) => s.rows).join(' + ')} x ${matrix.cols}; gate and up of ${experts} experts by ${columnsOf(x)} columns are wanted`,
    );
    expect(node, columnsOf(choice) === 2 * k, () => `the choice is ${columnsOf(choice)} wide; ${2 * k} is wanted`);
    return [{ rows: x.rows, segments: Array.from({ length: k }, () => gate!.rows / experts) }];
  },
  shard(node) {
    if (node.inputs[1]?.kind !== 'mirrored') return refuse('the choice is divided', 'a mirrored choice is wanted');
    const y = shardProduct(node, 'matrix');
    if (!isState(y)) return y;
    return y.kind === 'partial' ? refuse('the product is partial', 'whole or cut rows are wanted') : { outputs: [y] };
  },
  acceptsPartial: neverPartial,
  cost: expertCost,
  operands: ({ param }) => ({ choice: { width: 2 * param('k') } }),
  reference(context) {
    const x = context.input('x');
    const choice = context.input('choice');
    const y = context.output('y');
    const [gate, up] = context.weight('matrix');
    const k = context.param('k');
    const inter = y.width / k;
    const gated = { data: new Float64Array(inter), offset: 0, stride: inter, width: inter };
    const raised = { data: new Float64Array(inter), offset: 0, stride: inter, width: inter };
    forEachRow(context.rows, y, (row, at) => {
      const one = { ...x, offset: x.offset + row * x.stride };
      for (let i = 0; i < k; i++) {
        const expert = choice.data[choice.offset + row * choice.stride + i]!;
        multiplyRows(1, one, gate!.data, expert * inter, inter, gated);
        multiplyRows(1, one, up!.data, expert * inter, inter, raised);
        for (let c = 0; c < inter; c++) y.data[at + i * inter + c] = silu(gated.data[c]!) * raised.data[c]!;
      }
    });
  },
};
