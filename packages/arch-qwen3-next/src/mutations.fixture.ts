import { header, ops, type ReferenceContext, type WeightRow } from '@helexa/graph';
import {
  adjacentPairs,
  asOnes,
  forgetting,
  type Mutation,
  mapSources,
  mutateForward,
  mutateRow,
  swapped,
  topLeftMask,
  twoPieces,
  wrongHeadRepeat,
} from '@helexa/graph/conformance';

/** Norms read as they are stored, without the one they are around. */
const plain = (row: WeightRow): WeightRow => mapSources(row, ({ map: _, ...source }) => source);

const around = (row: WeightRow): WeightRow =>
  mapSources(row, (source) => ({ ...source, map: (value: number) => 1 + value }));

/** A fused region as one segment: ranks then take a run of all channels, not of queries, keys and values each. */
const uniform = (row: WeightRow): WeightRow => {
  const sources = row.segments[0]!.safetensors.filter((source) => source.shape?.[0] === rowsOf(row));
  const whole = sources.map(({ row: _, ...source }) => source);
  return { ...row, segments: [{ name: 'all', rows: rowsOf(row), safetensors: whole, gguf: [] }] };
};

const rowsOf = (row: WeightRow): number => row.segments.reduce((sum, segment) => sum + segment.rows, 0);

/** The state of a sequence is decayed after it was read and written. */
function decayAfter(context: ReferenceContext): void {
  const { step } = context;
  const g = context.input('g');
  const data = g.data.slice();
  const { layout, i32 } = step;
  const sequences = i32[layout.header + header.sequences]!;
  for (let s = 0; s < sequences; s++) {
    const [first, rows] = [i32[layout.sequenceRow + s]!, i32[layout.sequenceRows + s]!];
    for (let row = rows - 1; row >= 0; row--)
      for (let c = 0; c < g.width; c++)
        data[g.offset + (first + row) * g.stride + c] =
          row === 0 ? 0 : g.data[g.offset + (first + row - 1) * g.stride + c]!;
  }
  ops.gated_delta.reference({ ...context, input: (role) => (role === 'g' ? { ...g, data } : context.input(role)) });
}

/** Each token is convolved with the window of the token before it. */
function shiftedWindow(context: ReferenceContext): void {
  const x = context.input('x');
  const data = new Float64Array(x.data.length);
  for (let row = 1; row < context.rows; row++)
    data.set(
      x.data.subarray(x.offset + (row - 1) * x.stride, x.offset + (row - 1) * x.stride + x.width),
      x.offset + row * x.stride,
    );
  ops.conv1d_silu.reference({ ...context, input: () => ({ ...x, data }) });
}

/** The window that is kept ends one token too early. */
function earlyWindow(context: ReferenceContext): void {
  ops.conv1d_silu.reference(context);
  const { conv, convElements } = context.state(context.param('layer'));
  const channels = context.input('x').width;
  for (let base = 0; base < conv.length; base += convElements)
    conv.copyWithin(base + channels, base, base + convElements - channels);
}

/** Mistakes that every family here could make. */
export const hybridMutations: readonly Mutation[] = [
  mutateRow('norms are around zero', 'mixerNorm', plain),
  mutateRow('head norms are around zero', 'qNorm', plain),
  mutateRow('the gated norm is around zero', 'deltaNorm', around),
  mutateRow('no norm before the feed-forward part', 'mlpNorm', asOnes),
  mutateRow('no norm of key heads', 'kNorm', asOnes),
  mutateRow('decay is not folded', 'decay', plain),
  mutateRow('queries and their gate swapped', 'qkv', swapped(0, 3)),
  mutateRow('write strength and decay swapped', 'deltaZba', swapped(1, 2)),
  { name: 'decay after the read', ops: { gated_delta: decayAfter } },
  { name: 'convolution of the window before', ops: { conv1d_silu: shiftedWindow } },
  { name: 'a window that ends one token early', ops: { conv1d_silu: earlyWindow }, chunks: twoPieces },
  { name: 'a window of zeros for every piece', ops: { conv1d_silu: forgetting('conv1d_silu') }, chunks: twoPieces },
  { name: 'a state of zeros for every piece', ops: { gated_delta: forgetting('gated_delta') }, chunks: twoPieces },
  mutateForward('the gate of a delta head is not passed through silu', (b) => ({
    rmsNormGated: (x, z, weight, headDim, eps) => b.mul(b.headNorm(x, weight, headDim, eps), z),
  })),
  mutateForward('gates close where they should open', (b) => ({
    sigmoidMul: (x, gate) => b.sigmoidMul(x, b.scale(gate, -1)),
  })),
  adjacentPairs(16),
  topLeftMask,
  wrongHeadRepeat,
];

/** A fused region cut as if it were one. */
export const uniformCut: Mutation = {
  name: 'a fused region cut uniformly',
  ranks: 2,
  of: (architecture) => ({
    ...architecture,
    weights: (config) => {
      const table = architecture.weights(config);
      const isFused = ({ slot }: WeightRow): boolean => slot === 'conv' || slot === 'deltaQkv';
      return { ...table, rows: table.rows.map((row) => (isFused(row) ? uniform(row) : row)) };
    },
  }),
};
