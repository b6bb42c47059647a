import type { KvFormat } from '../../backend.js';
import type { Value } from '../../value.js';
import { type BackendCase, type CaseSequence, type CaseStep, rowsStep } from '../case.js';
import type { CaseWriter } from '../case-writer.js';

const vocab = 272;

/** Tokens of a sequence are its own run through the vocabulary: a cache read from the wrong place shows. */
const tokensOf = (slot: number, start: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => (slot * 67 + (start + index) * 5) % vocab);

const part = (slot: number, start: number, count: number): CaseSequence => ({
  slot,
  start,
  tokens: tokensOf(slot, start, count),
});

/** Prompts in one piece and in chunks, decodes beside them, rows that end at a page, begin one and lie across two. */
export const mixedSteps: readonly CaseStep[] = [
  { sequences: [part(0, 0, 13), part(2, 0, 5)] },
  { sequences: [part(2, 5, 1), part(0, 13, 51), part(1, 0, 9)] },
  { sequences: [part(0, 64, 1), part(1, 9, 1), part(2, 6, 63)] },
  { sequences: [part(3, 0, 1), part(2, 69, 1), part(0, 65, 1), part(1, 10, 4)] },
  { sequences: [part(1, 14, 65)] },
  { sequences: [part(1, 79, 1)] },
];

interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

const shapes: readonly Shape[] = [
  { heads: 1, kvHeads: 1, headDim: 16 },
  { heads: 4, kvHeads: 2, headDim: 32 },
  { heads: 6, kvHeads: 1, headDim: 64 },
  { heads: 3, kvHeads: 3, headDim: 24 },
  { heads: 2, kvHeads: 1, headDim: 128 },
];

const kvBounds: Readonly<Record<KvFormat, number>> = { F32: 2e-5, F16: 2e-5, BF16: 2e-5 };

function project(writer: CaseWriter, { heads, kvHeads, headDim }: Shape): readonly [Value, Value, Value] {
  const widths = [heads * headDim, kvHeads * headDim, kvHeads * headDim];
  const qkv = writer.run('linear', [writer.input('x', 48, 1.5)], { matrix: writer.matrix('qkv', widths, 48) })[0]!;
  return [writer.segment(qkv, 0), writer.segment(qkv, 1), writer.segment(qkv, 2)];
}

/** Without rotation, so that rows differ by their cache only. */
function attention(shape: Shape, window: number, kvFormats: readonly KvFormat[]): BackendCase {
  const { heads, kvHeads, headDim } = shape;
  return {
    name: `kv_append and attend, ${heads} heads of ${headDim} over ${kvHeads}${window ? `, window ${window}` : ''}`,
    ops: ['kv_append', 'attend'],
    boundOf: 'attend',
    bound: Math.max(...kvFormats.map((format) => kvBounds[format])),
    vocab,
    kvFormats,
    steps: mixedSteps,
    mutation: window ? 'the window is one token wider' : 'scores are 1% larger',
    build(writer, mutated) {
      const [q, k, v] = project(writer, shape);
      writer.run('kv_append', [k, v], {}, { layer: 0, headDim });
      const scale = (mutated && !window ? 1.01 : 1) / Math.sqrt(headDim);
      const options = { layer: 0, headDim, scale, window: window + (mutated && window ? 1 : 0) };
      return writer.finish(writer.run('attend', [q], {}, options));
    },
  };
}

interface RotaryCase {
  readonly name: string;
  readonly shape: Shape;
  readonly rotaryDim: number;
  readonly sections: readonly [number, number];
  readonly norms: boolean;
  /** Tokens that a row sees; all of them without. */
  readonly window?: number;
}

/**
 * The whole road of queries and keys: norm, rotation, append, attention. A rounding to half floats on either side of a tie
 * may differ by one step of the cache's format, hence the larger bounds there.
 */
function rotated(options: RotaryCase, kvFormat: KvFormat): BackendCase {
  const { shape, rotaryDim, sections, norms, name } = options;
  const { headDim } = shape;
  const bounds: Readonly<Record<KvFormat, number>> = { F32: 5e-5, F16: 2e-3, BF16: 1.5e-2 };
  return {
    name: `${name}, ${kvFormat} cache`,
    ops: ['rope', 'head_norm', 'kv_append', 'attend'],
    boundOf: `qk_norm_rope_append.${kvFormat}`,
    bound: bounds[kvFormat],
    vocab,
    kvFormats: [kvFormat],
    steps: sections[0] > 0 ? mixedSteps.map(spread) : mixedSteps,
    mutation: 'queries turn by positions of the next frequency',
    build(writer, mutated) {
      const [q, k, v] = project(writer, shape);
      const half = rotaryDim / 2;
      const inverse = (shift: number) => (index: number) => 100 ** (-(index + shift) / half);
      const inverseFrequency = writer.vector('inverse', half, inverse(0));
      const queryFrequency = mutated ? writer.vector('wrong', half, inverse(1)) : inverseFrequency;
      const rotary = { headDim, rotaryDim, attentionFactor: 1.1, sectionH: sections[0], sectionW: sections[1] };
      const eps = 1e-6;
      const normed = (x: Value, role: string): Value =>
        norms ? writer.run('head_norm', [x], { weight: writer.vector(role, headDim) }, { headDim, eps })[0]! : x;
      const turnedQ = writer.run('rope', [normed(q, 'qNorm')], { inverseFrequency: queryFrequency }, rotary)[0]!;
      const turnedK = writer.run('rope', [normed(k, 'kNorm')], { inverseFrequency }, rotary)[0]!;
      writer.run('kv_append', [turnedK, v], {}, { layer: 0, headDim });
      const attend = { layer: 0, headDim, scale: 1 / Math.sqrt(headDim), window: options.window ?? 0 };
      return writer.finish(writer.run('attend', [turnedQ], {}, attend));
    },
  };
}

/** Positions that differ by axis, as an image's do. */
const spread = (step: CaseStep): CaseStep => ({
  sequences: step.sequences.map((sequence) => ({
    ...sequence,
    positions: (index) => [sequence.start, sequence.start + (index >> 2), sequence.start + (index & 3)],
  })),
});

const rotaryCases: readonly RotaryCase[] = [
  {
    name: 'rope of whole heads',
    shape: { heads: 4, kvHeads: 2, headDim: 32 },
    rotaryDim: 32,
    sections: [0, 0],
    norms: false,
  },
  {
    name: 'head_norm and rope of whole heads',
    shape: { heads: 4, kvHeads: 2, headDim: 64 },
    rotaryDim: 64,
    sections: [0, 0],
    norms: true,
  },
  {
    name: 'head_norm and rope of a quarter of each head',
    shape: { heads: 2, kvHeads: 1, headDim: 128 },
    rotaryDim: 32,
    sections: [0, 0],
    norms: true,
  },
  {
    name: 'rope over three axes',
    shape: { heads: 2, kvHeads: 2, headDim: 64 },
    rotaryDim: 48,
    sections: [8, 7],
    norms: true,
  },
  {
    name: 'rope of an eighth of each wide head, window 20',
    shape: { heads: 3, kvHeads: 1, headDim: 256 },
    rotaryDim: 32,
    sections: [0, 0],
    norms: false,
    window: 20,
  },
];

/** Rotation by itself at far positions, where angles lose precision first. */
const farRope: BackendCase = {
  name: 'rope at positions around 30000',
  ops: ['rope'],
  boundOf: 'rope',
  bound: 1e-4,
  vocab,
  steps: [
    {
      sequences: [
        { ...rowsStep(13).sequences[0]!, positions: (index) => [30000 + index, 30000 + index, 30000 + index] },
      ],
    },
  ],
  mutation: 'the angle grows by one part in ten thousand',
  build(writer, mutated) {
    const inverseFrequency = writer.vector('inverse', 32, (index) => (mutated ? 1.0001 : 1) * 10000 ** (-index / 32));
    const rotary = { headDim: 64, rotaryDim: 64, attentionFactor: 1, sectionH: 0, sectionW: 0 };
    return writer.finish(writer.run('rope', [writer.input('x', 128)], { inverseFrequency }, rotary));
  },
};

export const attentionCases: readonly BackendCase[] = [
  ...shapes.map((shape) => attention(shape, 0, ['F32'])),
  attention(shapes[1]!, 7, ['F32']),
  attention(shapes[2]!, 64, ['F32']),
  ...rotaryCases.flatMap((options) => (['F32', 'F16', 'BF16'] as const).map((format) => rotated(options, format))),
  farRope,
];
