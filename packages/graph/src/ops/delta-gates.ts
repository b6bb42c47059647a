import { type OpDefinition, sameState } from '../op.js';
import { forEachRow } from './elementwise.js';
import { sigmoid, softplus } from './math.js';
import { vectorOf } from './norm.js';
import { alikeShape, columnsOf, elementCost, expectVector, neverPartial, refuse } from './rules.js';

/** beta = sigmoid(b); g = decay * softplus(a + dtBias), the logarithm of a head's decay. All are [rows, valueHeads]. */
export const deltaGates: OpDefinition = {
  name: 'delta_gates',
  shape(node) {
    const b = alikeShape(node, 2);
    expectVector(node, 'decay', columnsOf(b));
    expectVector(node, 'dtBias', columnsOf(b));
    return [b, b];
  },
  shard(node) {
    const [b, a] = node.inputs;
    const vectors = ['decay', 'dtBias'].map((role) => node.weights[role]);
    if (!b || !a || !sameState(a, b)) return refuse("'b' and 'a' differ", 'inputs divided alike are wanted');
    const cut = b.kind === 'split' ? b.cut : undefined;
    if (vectors.some((vector) => vector?.cut?.name !== cut))
      return refuse("'decay' or 'dtBias' is cut unlike the heads", 'vectors cut like the inputs are wanted');
    return { outputs: [b, b] };
  },
  acceptsPartial: neverPartial,
  cost: elementCost(8, 'decay', 'dtBias'),
  reference(context) {
    const b = context.input('b');
    const a = context.input('a');
    const beta = context.output('beta');
    const g = context.output('g');
    const decay = vectorOf(context, 'decay');
    const dtBias = vectorOf(context, 'dtBias');
    forEachRow(context.rows, beta, (row, at) => {
      for (let c = 0; c < beta.width; c++) {
        const [bAt, aAt, gAt] = [b, a, g].map((matrix) => matrix.offset + row * matrix.stride + c);
        const gate = sigmoid(b.data[bAt!]!);
        g.data[gAt!] = decay[c]! * softplus(a.data[aAt!]! + dtBias[c]!);
        beta.data[at + c] = gate;
      }
    });
  },
};
