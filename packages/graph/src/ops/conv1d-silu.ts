import type { OpDefinition, ShapeContext } from '../op.js';
import { silu } from './math.js';
import { activationBytes, columnsOf, expect, inputShape, neverPartial, refuse, weightOf, weightRows } from './rules.js';
import { sequencesOf } from './sequences.js';

/**
 * Causal depthwise convolution over a sequence's tokens, then silu: u_t[c] = sum over j of kernel[c, j] * x_(t-taps+1+j)[c].
 *
 * x is [rows, channels], the kernel [channels, taps] in one or more segments of channels. State of a sequence:
 * [taps - 1, channels], the last inputs before this step, oldest first; zeros at the sequence's start.
 */
export const conv1dSilu: OpDefinition = {
  name: 'conv1d_silu',
  state: { kind: 'conv', access: 'updates', elements: (node) => (tapsOf(node) - 1) * columnsOf(inputShape(node, 0)) },
  shape(node) {
    const x = inputShape(node, 0);
    const kernel = weightOf(node, 'kernel');
    expect(
      node,
      weightRows(kernel) === columnsOf(x) && tapsOf(node) >= 2,
      () => `'${kernel.slot}' is ${weightRows(kernel)} x ${kernel.cols ?? 1}; ${columnsOf(x)} channels are wanted`,
    );
    return [x];
  },
  shard(node) {
    const [x] = node.inputs;
    const kernel = weightOf(node, 'kernel');
    const cut = kernel.cut?.axis === 'rows' ? kernel.cut.name : null;
    if (x?.kind === 'mirrored' && kernel.cut === null) return { outputs: [x] };
    if (x?.kind === 'split' && x.cut === cut) return { outputs: [x] };
    return refuse(
      `'x' and the kernel '${kernel.slot}' are divided differently`,
      'channels cut like the columns of the input are wanted',
    );
  },
  acceptsPartial: neverPartial,
  cost: (node) => ({
    macs: node.rows * columnsOf(node.inputs[0]!) * (weightOf(node, 'kernel').cols ?? 1),
    weightBytes: node.weightBytes('kernel'),
    activationBytes: activationBytes(node),
  }),
  reference(context) {
    const x = context.input('x');
    const y = context.output('y');
    const kernel = context.weight('kernel');
    const taps = kernel[0]!.cols;
    const state = context.state(context.param('layer'));
    const channels = x.width;
    for (const { slot, row, rows, length } of sequencesOf(context.step)) {
      const base = slot * state.convElements;
      if (length === rows) state.conv.fill(0, base, base + state.convElements);
      const seen = new Float64Array((taps - 1 + rows) * channels);
      seen.set(state.conv.subarray(base, base + (taps - 1) * channels));
      for (let i = 0; i < rows; i++) {
        const from = x.offset + (row + i) * x.stride;
        seen.set(x.data.subarray(from, from + channels), (taps - 1 + i) * channels);
      }
      for (let i = 0; i < rows; i++) {
        let channel = 0;
        for (const segment of kernel) {
          for (let c = 0; c < segment.rows; c++, channel++) {
            let sum = 0;
            for (let j = 0; j < taps; j++) sum += segment.data[c * taps + j]! * seen[(i + j) * channels + channel]!;
            y.data[y.offset + (row + i) * y.stride + channel] = silu(sum);
          }
        }
      }
      state.conv.set(seen.subarray(rows * channels), base);
    }
  },
};

const tapsOf = (node: ShapeContext): number => weightOf(node, 'kernel').cols ?? 1;
