import { type BackendCase, rowsStep } from '../case.js';
import { mixedSteps } from './attention.js';

const vocab = 272;

const conv = (taps: number, segments: readonly number[]): BackendCase => ({
  name: `conv1d_silu of ${taps} taps over ${segments.join(' + ')} channels`,
  ops: ['conv1d_silu'],
  boundOf: 'conv1d_silu',
  bound: 1e-5,
  vocab,
  steps: mixedSteps,
  mutation: 'the oldest tap is forgotten',
  build(writer, mutated) {
    const channels = segments.reduce((sum, rows) => sum + rows, 0);
    const kernel = writer.matrix('kernel', segments, taps, {
      values: (row, col) => (mutated && col === 0 ? 0 : Math.sin(row * taps + col + 1)),
    });
    return writer.finish(writer.run('conv1d_silu', [writer.input('x', channels)], { kernel }, { layer: 0 }));
  },
});

const gates: BackendCase = {
  name: 'delta_gates of 5 heads',
  ops: ['delta_gates'],
  boundOf: 'delta_gates',
  bound: 1e-5,
  vocab: 96,
  steps: [1, 5, 65].map(rowsStep),
  mutation: 'dtBias is left out',
  build(writer, mutated) {
    const decay = writer.vector('decay', 5, (index) => -0.5 - index);
    const dtBias = writer.vector('dtBias', 5, (index) => (mutated ? 0 : index - 2));
    // Some sums are above 20, where softplus is the identity.
    const values = [writer.input('b', 5, 3), writer.input('a', 5, 14)];
    return writer.finish(writer.run('delta_gates', values, { decay, dtBias }));
  },
};

interface DeltaShape {
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly tiled: 0 | 1;
}

const delta = (shape: DeltaShape): BackendCase => ({
  name: `gated_delta, ${shape.keyHeads} key heads of ${shape.keyDim}, ${shape.valueHeads} value heads of ${shape.valueDim}${shape.tiled ? ', tiled' : ''}`,
  ops: ['delta_gates', 'gated_delta'],
  boundOf: 'gated_delta',
  bound: 1e-4,
  vocab,
  steps: mixedSteps,
  mutation: 'the decay is 1% stronger',
  build(writer, mutated) {
    const { keyHeads, valueHeads, keyDim, valueDim, tiled } = shape;
    const widths = [keyHeads * keyDim, keyHeads * keyDim, valueHeads * valueDim];
    const qkv = writer.run('linear', [writer.input('x', 40)], { matrix: writer.matrix('qkv', widths, 40) })[0]!;
    const decay = writer.vector('decay', valueHeads, (index) => -0.05 * (index + 1) * (mutated ? 1.01 : 1));
    const dtBias = writer.vector('dtBias', valueHeads, () => 0);
    const inputs = [writer.input('b', valueHeads), writer.input('a', valueHeads)];
    const [beta, g] = writer.run('delta_gates', inputs, { decay, dtBias });
    return writer.finish(writer.run('gated_delta', [qkv, beta!, g!], {}, { layer: 0, keyDim, valueDim, tiled }));
  },
});

/** A state is kept, then two sequences go on from it: one that had it, one that never ran. */
const copies: BackendCase = {
  name: 'state copies: a sequence goes on from the state of another',
  ops: ['conv1d_silu', 'delta_gates', 'gated_delta'],
  boundOf: 'gated_delta',
  bound: 1e-4,
  vocab,
  snapshots: 2,
  steps: [
    { sequences: [{ slot: 0, tokens: [1, 2, 3, 4, 5], start: 0 }] },
    // Kept as snapshot 1, which is state 5; nothing runs besides another sequence.
    { sequences: [{ slot: 2, tokens: [9, 8], start: 0 }], copies: [[0, 5]] },
    { sequences: [{ slot: 0, tokens: [6, 7], start: 5 }] },
    {
      sequences: [
        { slot: 1, tokens: [6, 7, 8], start: 5 },
        { slot: 3, tokens: [20], start: 5 },
      ],
      // In order: the second takes what the first has brought.
      copies: [
        [5, 1],
        [1, 3],
      ],
    },
    { sequences: [{ slot: 0, tokens: [8], start: 7 }] },
  ],
  mutation: 'states are not copied',
  build(writer) {
    const [keyDim, valueDim] = [16, 16];
    const matrix = writer.matrix('qkv', [16, 16, 32], 40);
    const kernel = writer.matrix('kernel', [64], 4, { values: (row, col) => Math.sin(row * 4 + col + 1) });
    const x = writer.run('linear', [writer.input('x', 40)], { matrix })[0]!;
    const qkv = writer.run('conv1d_silu', [x], { kernel }, { layer: 0 })[0]!;
    const vectors = { decay: writer.vector('decay', 2, () => -0.05), dtBias: writer.vector('dtBias', 2, () => 0) };
    const [beta, g] = writer.run('delta_gates', [writer.input('b', 2), writer.input('a', 2)], vectors);
    const attributes = { layer: 0, keyDim, valueDim, tiled: 0 };
    return writer.finish(writer.run('gated_delta', [qkv, beta!, g!], {}, attributes));
  },
};

export const hybridCases: readonly BackendCase[] = [
  conv(4, [64]),
  conv(4, [24, 24, 33]),
  conv(2, [37]),
  gates,
  copies,
  delta({ keyHeads: 2, valueHeads: 2, keyDim: 16, valueDim: 16, tiled: 0 }),
  delta({ keyHeads: 2, valueHeads: 4, keyDim: 32, valueDim: 48, tiled: 0 }),
  delta({ keyHeads: 2, valueHeads: 6, keyDim: 16, valueDim: 24, tiled: 1 }),
  delta({ keyHeads: 1, valueHeads: 2, keyDim: 128, valueDim: 64, tiled: 0 }),
];
