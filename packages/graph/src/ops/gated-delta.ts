import { type OpDefinition, type ReferenceContext, type ShapeContext, sameState } from '../op.js';
import { activationBytes, attribute, columnsOf, expect, inputShape, neverPartial, refuse } from './rules.js';
import { sequencesOf } from './sequences.js';

/**
 * Gated delta rule, token by token. qkv is [rows, Nk * Dk | Nk * Dk | Nv * Dv], beta and g are [rows, Nv], y is
 * [rows, Nv * Dv]. Value head j uses key head floor(j * Nk / Nv), or j mod Nk when `tiled`. q and k are normalised to unit
 * length, q is scaled by Dk^-0.5. State of a sequence: S [Nv, Dk, Dv], zeros at the sequence's start.
 *
 *   S = exp(g) S;  S = S + k (beta (v - S^T k))^T;  y = S^T q
 */
export const gatedDelta: OpDefinition = {
  name: 'gated_delta',
  state: {
    kind: 'delta',
    access: 'updates',
    elements: (node) => columnsOf(inputShape(node, 1)) * attribute(node, 'keyDim') * attribute(node, 'valueDim'),
  },
  shape(node) {
    const qkv = inputShape(node, 0);
    const { valueHeads, keyHeads } = headsOf(node);
    const g = inputShape(node, 2);
    expect(node, columnsOf(g) === valueHeads, () => `g is ${columnsOf(g)} wide; ${valueHeads} like beta is wanted`);
    expect(
      node,
      keyHeads > 0 && Number.isInteger(keyHeads) && valueHeads % keyHeads === 0,
      () =>
        `a width of ${columnsOf(qkv)} gives ${keyHeads} key heads for ${valueHeads} value heads; a divisor is wanted`,
    );
    return [{ rows: qkv.rows, segments: [valueHeads * attribute(node, 'valueDim')] }];
  },
  shard(node) {
    const [qkv] = node.inputs;
    if (!qkv || !node.inputs.every((state) => sameState(state, qkv)))
      return refuse("'qkv', 'beta' and 'g' differ", 'inputs divided alike are wanted');
    return { outputs: [qkv] };
  },
  acceptsPartial: neverPartial,
  cost: (node) => ({
    macs: 4 * node.rows * columnsOf(node.inputs[1]!) * node.attributes['keyDim']! * node.attributes['valueDim']!,
    weightBytes: 0,
    activationBytes: activationBytes(node),
  }),
  operands({ n, param }) {
    const valueHeads = n / param('valueDim');
    return { beta: { width: valueHeads }, g: { width: valueHeads } };
  },
  reference(context) {
    const state = context.state(context.param('layer'));
    for (const { slot, row, rows, length } of sequencesOf(context.step)) {
      const base = slot * state.deltaElements;
      if (length === rows) state.delta.fill(0, base, base + state.deltaElements);
      for (let i = 0; i < rows; i++) advance(context, state.delta, base, row + i);
    }
  },
};

function headsOf(node: ShapeContext): { valueHeads: number; keyHeads: number } {
  const valueHeads = columnsOf(inputShape(node, 1));
  const values = valueHeads * attribute(node, 'valueDim');
  return { valueHeads, keyHeads: (columnsOf(inputShape(node, 0)) - values) / (2 * attribute(node, 'keyDim')) };
}

/** What one token brings to one value head: unit query and key, its value, the logarithm of the decay, how much is written. */
export interface DeltaToken {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly g: number;
  readonly beta: number;
}

/** Value heads of a call. */
export const valueHeadsOf = (context: ReferenceContext): number =>
  context.output('y').width / context.param('valueDim');

/** Reads what row `row` brings to a value head. */
export function deltaToken(context: ReferenceContext, row: number, head: number): DeltaToken {
  const [qkv, beta, g] = [context.input('qkv'), context.input('beta'), context.input('g')];
  const [keyDim, valueDim] = [context.param('keyDim'), context.param('valueDim')];
  const valueHeads = valueHeadsOf(context);
  const keyHeads = (qkv.width - valueHeads * valueDim) / (2 * keyDim);
  const keyHead = context.param('tiled') ? head % keyHeads : Math.floor((head * keyHeads) / valueHeads);
  const at = qkv.offset + row * qkv.stride;
  const v = at + 2 * keyHeads * keyDim + head * valueDim;
  return {
    q: unit(qkv.data, at + keyHead * keyDim, keyDim),
    k: unit(qkv.data, at + (keyHeads + keyHead) * keyDim, keyDim),
    v: qkv.data.slice(v, v + valueDim),
    g: g.data[g.offset + row * g.stride + head]!,
    beta: beta.data[beta.offset + row * beta.stride + head]!,
  };
}

/** One token of one sequence through every value head. */
function advance(context: ReferenceContext, state: Float64Array, base: number, row: number): void {
  const y = context.output('y');
  const keyDim = context.param('keyDim');
  const valueDim = context.param('valueDim');
  for (let head = 0; head < valueHeadsOf(context); head++) {
    const { q, k, v, g, beta } = deltaToken(context, row, head);
    const decay = Math.exp(g);
    const s = base + head * keyDim * valueDim;
    for (let c = 0; c < valueDim; c++) {
      let memory = 0;
      for (let d = 0; d < keyDim; d++) {
        state[s + d * valueDim + c]! *= decay;
        memory += state[s + d * valueDim + c]! * k[d]!;
      }
      const delta = beta * (v[c]! - memory);
      let out = 0;
      for (let d = 0; d < keyDim; d++) {
        state[s + d * valueDim + c]! += k[d]! * delta;
        out += state[s + d * valueDim + c]! * q[d]!;
      }
      y.data[y.offset + row * y.stride + head * valueDim + c] = out / Math.sqrt(keyDim);
    }
  }
}

/** A key or query divided by its length; 1e-6 under the root keeps a zero vector zero. */
function unit(data: Float64Array, start: number, size: number): Float64Array {
  const vector = data.slice(start, start + size);
  let squares = 0;
  for (const value of vector) squares += value * value;
  const factor = 1 / Math.sqrt(squares + 1e-6);
  return vector.map((value) => value * factor);
}
