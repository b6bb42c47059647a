import type { OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { expertCost } from './experts.js';
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
 * Sum over the chosen experts of weight_e * (y_e . down_e^T). y is [rows, k * inter], the matrix [experts * hidden, inter]
 * with the experts one after another, out is [rows, hidden].
 */
export const moeDown: OpDefinition = {
  name: 'moe_down',
  shape(node) {
    const y = inputShape(node, 0);
    const matrix = weightOf(node, 'matrix');
    const k = attribute(node, 'k');
    const experts = attribute(node, 'experts');
    const [down] = matrix.segments;
    expect(
      node,
      matrix.segments.length === 1 && down!.rows % experts === 0 && (matrix.cols ?? 0) * k === columnsOf(y),
      () =>
        `'${matrix.slot}' is ${down?.rows} x ${matrix.cols}; ${experts} experts by ${columnsOf(y) / k} columns are wanted`,
    );
    return [{ rows: y.rows, segments: [down!.rows / experts] }];
  },
  shard(node) {
    if (node.inputs[1]?.kind !== 'mirrored') return refuse('the choice is divided', 'a mirrored choice is wanted');
    const out = shardProduct(node, 'matrix');
    if (!isState(out)) return out;
    return out.kind === 'split' ? refuse('hidden is cut', 'whole or cut columns are wanted') : { outputs: [out] };
  },
  acceptsPartial: neverPartial,
  cost: expertCost,
  operands: ({ param }) => ({ choice: { width: 2 * param('k') } }),
  reference(context) {
    const y = context.input('y');
    const choice = context.input('choice');
    const out = context.output('out');
    const { data } = context.weight('matrix')[0]!;
    const k = context.param('k');
    const inter = y.width / k;
    const product = { data: new Float64Array(out.width), offset: 0, stride: out.width, width: out.width };
    forEachRow(context.rows, out, (row, at) => {
      out.data.fill(0, at, at + out.width);
      for (let i = 0; i < k; i++) {
        const from = choice.offset + row * choice.stride + i;
        const one = { ...y, offset: y.offset + row * y.stride + i * inter, width: inter };
        multiplyRows(1, one, data, choice.data[from]! * out.width, out.width, product);
        const weight = choice.data[from + k]!;
        for (let c = 0; c < out.width; c++) out.data[at + c]! += weight * product.data[c]!;
      }
    });
  },
};
