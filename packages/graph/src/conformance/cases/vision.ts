import type { BackendCase, CaseStep } from '../case.js';
import type { CaseWriter } from '../case-writer.js';

const patchWidth = 24;
const maxPatches = 96;

/** Images of these grids; a text row takes each feature row, with a token of the vocabulary before and after them. */
const step = (images: NonNullable<CaseStep['images']>, features: number): CaseStep => ({
  images,
  sequences: [{ slot: 0, start: 0, tokens: [5, ...Array.from({ length: features }, (_, row) => -1 - row), 6] }],
});

/** One image, two of different sizes, and more patches than a tile of any kernel. */
const steps: readonly CaseStep[] = [
  step([[2, 2]], 4),
  step(
    [
      [2, 2],
      [2, 4],
    ],
    12,
  ),
  step(
    [
      [5, 7],
      [3, 9],
    ],
    62,
  ),
];

const caseOf = (
  op: 'attend_dense' | 'rope_2d' | 'patch_position' | 'patch_merge' | 'layer_norm' | 'gelu',
  name: string,
  bound: number,
  rest: {
    readonly width: number;
    readonly steps?: readonly CaseStep[];
    readonly mutation: string;
    readonly build: (writer: CaseWriter, mutated: boolean) => ReturnType<CaseWriter['run']>[number];
  },
): BackendCase => ({
  name,
  ops: ['load_patches', 'store_features', 'patch_merge', op],
  boundOf: op,
  bound,
  vocab: 100,
  vision: { maxPatches, patchWidth, maxFeatures: maxPatches, featureWidth: rest.width },
  steps: rest.steps ?? steps,
  mutation: rest.mutation,
  build: (writer, mutated) => {
    const value = rest.build(writer, mutated);
    const merged = value.rows === 'features' ? value : writer.run('patch_merge', [value], {}, { merge: 1 })[0]!;
    return writer.finishFeatures(merged);
  },
});

const dense = caseOf('attend_dense', 'attend_dense within each image', 2e-5, {
  width: 48,
  mutation: 'keys and values are exchanged',
  build(writer, mutated) {
    const [q, k, v] = ['q', 'k', 'v'].map((name) => writer.patches(name, 48, patchWidth));
    const attributes = { headDim: 24, scale: 1 / Math.sqrt(24) };
    return writer.run('attend_dense', mutated ? [q!, v!, k!] : [q!, k!, v!], {}, attributes)[0]!;
  },
});

/** Heads of a width that no vector divides, read in place out of a fused product. */
const fused = caseOf('attend_dense', 'attend_dense of segments with heads of 18', 2e-5, {
  width: 54,
  mutation: 'the heads are of 27',
  build(writer, mutated) {
    const pixels = writer.run('load_patches', [], {}, { width: patchWidth })[0]!;
    const matrix = writer.matrix('qkv', [54, 54, 54], patchWidth);
    const qkv = writer.run('linear', [pixels], { matrix })[0]!;
    const parts = [0, 1, 2].map((index) => writer.segment(qkv, index));
    return writer.run('attend_dense', parts, {}, { headDim: mutated ? 27 : 18, scale: 0.25 })[0]!;
  },
});

const turned = caseOf('rope_2d', 'rope_2d of heads of 24', 1e-5, {
  width: 48,
  mutation: 'the frequencies are those of larger heads',
  build(writer, mutated) {
    const inverseFrequency = writer.vector('inverse', 6, (index) => 10000 ** (-index / (mutated ? 8 : 6)));
    return writer.run('rope_2d', [writer.patches('x', 48, patchWidth)], { inverseFrequency }, { headDim: 24 })[0]!;
  },
});

const placed = caseOf('patch_position', 'patch_position over a table of 8 x 8', 1e-5, {
  width: 20,
  mutation: 'the table is read by columns',
  build(writer, mutated) {
    const value = (row: number, col: number): number => Math.sin(1 + row * 1.7 + col * 0.3);
    const values = (row: number, col: number) => value(mutated ? (row % 8) * 8 + (row >> 3) : row, col);
    const table = writer.matrix('places', [64], 20, { lookup: true, values });
    return writer.run('patch_position', [], { table }, { side: 8 })[0]!;
  },
});

const merged = caseOf('patch_merge', 'patch_merge of blocks of 4', 1e-5, {
  width: 40,
  steps: [
    step([[2, 2]], 1),
    step(
      [
        [2, 2],
        [4, 6],
      ],
      7,
    ),
  ],
  mutation: 'patches of a block are merged one by one',
  build(writer, mutated) {
    const x = writer.patches('x', mutated ? 40 : 10, patchWidth);
    return writer.run('patch_merge', [x], {}, { merge: mutated ? 1 : 2 })[0]!;
  },
});

const normed = caseOf('layer_norm', 'layer_norm of patches', 1e-5, {
  width: 37,
  mutation: 'weight and bias are exchanged',
  build(writer, mutated) {
    const [weight, bias] = [
      writer.vector(mutated ? 'bias' : 'weight', 37),
      writer.vector(mutated ? 'weight' : 'bias', 37),
    ];
    return writer.run('layer_norm', [writer.patches('x', 37, patchWidth)], { weight, bias }, { eps: 1e-6 })[0]!;
  },
});

const curved = caseOf('gelu', 'gelu of patches by the error function', 1e-5, {
  width: 37,
  mutation: 'it is the tanh approximation',
  build: (writer, mutated) =>
    writer.run('gelu', [writer.patches('x', 37, patchWidth)], {}, { tanh: mutated ? 1 : 0 })[0]!,
});

export const visionCases: readonly BackendCase[] = [dense, fused, turned, placed, merged, normed, curved];
