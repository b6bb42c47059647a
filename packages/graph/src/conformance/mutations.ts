import type { Architecture } from '../architecture.js';
import type { ReferenceOverrides } from '../backends/reference-rank.js';
import type { Builder } from '../builder.js';
import type { ReferenceContext } from '../op.js';
import type { OpName } from '../opcodes.js';
import { ops } from '../ops/index.js';
import { header } from '../step.js';
import type { Segment, Source, WeightRow } from '../weights.js';

/** A wrong copy of an architecture, which the golden values must tell from the right one. */
export interface Mutation {
  readonly name: string;
  readonly of?: (architecture: Architecture) => Architecture;
  /** Ops that compute something else. */
  readonly ops?: ReferenceOverrides;
  /** More than 1: only a division can show it. */
  readonly ranks?: number;
  /** Lengths of the pieces that the prompt is fed in: only what follows a first piece can show it. */
  readonly chunks?: readonly number[];
}

/** A mutation of one row of the weights table. */
export const mutateRow = (name: string, slot: string, change: (row: WeightRow) => WeightRow): Mutation => ({
  name,
  of: (architecture) => ({
    ...architecture,
    weights: (config) => {
      const table = architecture.weights(config);
      return { ...table, rows: table.rows.map((row) => (row.slot === slot ? change(row) : row)) };
    },
  }),
});

/** A mutation of config.json. */
export const mutateConfig = (name: string, change: Readonly<Record<string, unknown>>): Mutation => ({
  name,
  of: (architecture) => ({
    ...architecture,
    parseConfig: (json, file) => architecture.parseConfig({ ...(json as object), ...change }, file),
  }),
});

/** A mutation of the forward graph: some methods of its builder do something else. */
export const mutateForward = (name: string, replace: (real: Builder) => Partial<Builder>): Mutation => ({
  name,
  of: (architecture) => ({
    ...architecture,
    forward: (b, config) => architecture.forward(builderWith(b, replace), config),
  }),
});

/** A builder with some of its methods replaced. */
export function builderWith(real: Builder, replace: (real: Builder) => Partial<Builder>): Builder {
  const changed = replace(real);
  return new Proxy(real, {
    get(target, name) {
      const found: unknown = changed[name as keyof Builder] ?? Reflect.get(target, name);
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
}

/** Every source of a row changed alike, in both kinds of file. */
export const mapSources = (row: WeightRow, change: (source: Source, segment: Segment) => Source): WeightRow => ({
  ...row,
  segments: row.segments.map((segment) => ({
    ...segment,
    safetensors: segment.safetensors.map((source) => change(source, segment)),
    gguf: segment.gguf.map((source) => change(source, segment)),
  })),
});

/** A vector read as ones: a norm without its weight. */
export const asOnes = (row: WeightRow): WeightRow => mapSources(row, (source) => ({ ...source, map: () => 1 }));

/** A vector read as zeros: a bias that is left out. */
export const asZeros = (row: WeightRow): WeightRow => mapSources(row, (source) => ({ ...source, map: () => 0 }));

/** A row whose tensors are read in another order of their rows. */
export const readingRows =
  (order: (row: number) => number) =>
  (row: WeightRow): WeightRow =>
    mapSources(row, (source) => ({ ...source, row: order }));

/** Two segments of a row read from each other's tensors. */
export const swapped =
  (a: number, b: number) =>
  (row: WeightRow): WeightRow => ({
    ...row,
    segments: row.segments.map((segment, index) => {
      const other = row.segments[index === a ? b : index === b ? a : index]!;
      return { ...segment, safetensors: other.safetensors, gguf: other.gguf };
    }),
  });

/** An op that takes every piece of a prompt for its beginning. */
export const forgetting =
  (op: OpName) =>
  (context: ReferenceContext): void => {
    const { layout } = context.step;
    const i32 = context.step.i32.slice();
    for (let s = 0; s < i32[layout.header + header.sequences]!; s++)
      i32[layout.sequenceLength + s] = i32[layout.sequenceRows + s]!;
    ops[op].reference({ ...context, step: { ...context.step, i32 } });
  };

/** Query head h reads kv head h mod the number of kv heads: heads repeated as a block rather than each. */
function repeatedAsBlock(context: ReferenceContext): void {
  const headDim = context.param('headDim');
  const { kvHeads } = context.cache(context.param('layer'));
  const [q, y] = [context.input('q'), context.output('y')];
  const heads = q.width / headDim;
  const width = q.width;
  const moved = { data: new Float64Array(context.rows * width), offset: 0, stride: width, width };
  const result = { ...moved, data: new Float64Array(context.rows * width) };
  const each = (visit: (from: number, to: number, row: number) => void): void => {
    for (let row = 0; row < context.rows; row++)
      for (let head = 0; head < heads; head++) {
        const place = (head % kvHeads) * (heads / kvHeads) + Math.floor(head / kvHeads);
        visit(head * headDim, row * width + place * headDim, row);
      }
  };
  each((from, to, row) => {
    const at = q.offset + row * q.stride + from;
    moved.data.set(q.data.subarray(at, at + headDim), to);
  });
  ops.attend.reference({ ...context, input: () => moved, output: () => result });
  each((from, to, row) => {
    y.data.set(result.data.subarray(to, to + headDim), y.offset + row * y.stride + from);
  });
}

/** Two pieces: the second one meets what the first has left. */
export const twoPieces: readonly number[] = [4, 64];

/** A mask whose corner is the piece, not the sequence: a later piece does not see what came before it. */
export const topLeftMask: Mutation = {
  name: 'a mask that begins at the piece',
  ops: { attend: forgetting('attend') },
  chunks: twoPieces,
};

/** Needs more query heads than kv heads. */
export const wrongHeadRepeat: Mutation = {
  name: 'kv heads repeated as a block',
  ops: { attend: repeatedAsBlock },
};

/** Columns side by side are rotated together, not those half a head apart; `headDim` is that of the fixture. */
export const adjacentPairs = (headDim: number): Mutation =>
  mutateRow('columns side by side are rotated', 'qkv', (row) => ({
    ...row,
    segments: row.segments.map((segment, index) =>
      index > 1
        ? segment
        : {
            ...segment,
            safetensors: segment.safetensors.map((source) => ({
              ...source,
              row: (at: number) => {
                const within = at % headDim;
                const moved = at - within + 2 * (within % (headDim / 2)) + Math.floor((2 * within) / headDim);
                return source.row ? source.row(moved) : moved;
              },
            })),
          },
    ),
  }));

/** Mistakes that every decoder could make whose table is `decoderTable`. */
export const decoderMutations = (headDim: number): readonly Mutation[] => [
  mutateRow('no norm before attention', 'attnNorm', asOnes),
  mutateRow('no norm before the feed-forward part', 'mlpNorm', asOnes),
  mutateRow('no last norm', 'finalNorm', asOnes),
  mutateRow('keys and values swapped', 'qkv', swapped(1, 2)),
  adjacentPairs(headDim),
  topLeftMask,
];
