import { mirrored, type OpDefinition, partial } from '../op.js';
import { forEachRow } from './elementwise.js';
import { activationBytes, expect, neverPartial, refuse, weightOf, weightRows } from './rules.js';

/**
 * Rows of the table by token id; a token -1 - i is row i of the step's features. A rank may hold a run of the vocabulary: the others' tokens give zeros there, so the rows
 * of all ranks add up to the embedding.
 */
export const embed: OpDefinition = {
  name: 'embed',
  state: { kind: 'features', access: 'reads' },
  shape(node) {
    const table = weightOf(node, 'table');
    expect(node, table.cols !== null, () => `'${table.slot}' is a vector; a table is wanted`);
    return [{ rows: 'rows', segments: [table.cols!] }];
  },
  shard(node) {
    const table = weightOf(node, 'table');
    if (!table.cut) return { outputs: [mirrored], attributes: { vocabStart: 0 } };
    if (table.cut.axis === 'cols')
      return refuse(`'${table.slot}' is cut in columns by '${table.cut.name}'`, 'a whole table or cut rows are wanted');
    return { outputs: [partial], attributes: { vocabStart: node.rowStart('table') } };
  },
  acceptsPartial: neverPartial,
  cost: (node) => ({
    macs: 0,
    weightBytes: (node.weightBytes('table') / weightRows(weightOf(node, 'table'))) * node.rows,
    activationBytes: activationBytes(node),
  }),
  reference(context) {
    const table = context.weight('table')[0]!;
    const y = context.output('y');
    const start = context.param('vocabStart');
    const { layout, i32, f32 } = context.step;
    forEachRow(context.rows, y, (row, at) => {
      const token = i32[layout.tokens + row]!;
      const index = token - start;
      // Ranks add their rows up: the one that holds the first token gives the feature.
      if (token < 0 && start === 0) {
        const from = layout.features + (-1 - token) * y.width;
        y.data.set(f32.subarray(from, from + y.width), at);
        return;
      }
      const held = index >= 0 && index < table.rows;
      for (let c = 0; c < y.width; c++) y.data[at + c] = held ? table.data[index * table.cols + c]! : 0;
    });
  },
};
