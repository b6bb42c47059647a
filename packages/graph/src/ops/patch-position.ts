import { mirrored, type OpDefinition } from '../op.js';
import { forEachRow } from './elementwise.js';
import { placeOf } from './patch-place.js';
import { activationBytes, attribute, expect, neverPartial, refuse, weightOf, weightRows } from './rules.js';

/**
 * A learned table over side * side places, interpolated where each patch lies: the corners of its image stand on the corners
 * of the table. Places and shares are float32, as the weights' own framework computes them.
 */
export const patchPosition: OpDefinition = {
  name: 'patch_position',
  shape(node) {
    const table = weightOf(node, 'table');
    const side = attribute(node, 'side');
    expect(
      node,
      side >= 1 && table.cols !== null && weightRows(table) === side * side,
      () => `'${table.slot}' is ${weightRows(table)} x ${table.cols ?? 1}; a table of ${side} x ${side} rows is wanted`,
    );
    return [{ rows: 'patches', segments: [table.cols!] }];
  },
  shard: (node) =>
    node.weights['table']?.cut ? refuse('the table is cut', 'a whole table is wanted') : { outputs: [mirrored] },
  acceptsPartial: neverPartial,
  cost: (node) => ({
    macs: 0,
    weightBytes: (4 * node.weightBytes('table') * node.rows) / weightRows(weightOf(node, 'table')),
    activationBytes: activationBytes(node),
  }),
  reference(context) {
    const table = context.weight('table')[0]!;
    const y = context.output('y');
    const side = context.param('side');
    forEachRow(context.rows, y, (row, at) => {
      const place = (what: Parameters<typeof placeOf>[2]): number => placeOf(context.step, row, what);
      const vertical = between(place('y'), place('gridHeight'), side);
      const horizontal = between(place('x'), place('gridWidth'), side);
      y.data.fill(0, at, at + y.width);
      for (const [line, shareY] of vertical)
        for (const [column, shareX] of horizontal) {
          const share = Math.fround(shareY * shareX);
          const from = (line * side + column) * table.cols;
          for (let c = 0; c < y.width; c++) y.data[at + c]! += share * table.data[from + c]!;
        }
    });
  },
};

/** The two places of a line of `side` between which place `index` of `count` falls, with their shares. */
function between(index: number, count: number, side: number): readonly (readonly [place: number, share: number])[] {
  const at = count === 1 ? 0 : Math.fround(index * Math.fround((side - 1) / (count - 1)));
  const low = Math.min(Math.floor(at), side - 1);
  const share = Math.fround(at - low);
  return [
    [low, Math.fround(1 - share)],
    [Math.min(low + 1, side - 1), share],
  ];
}
