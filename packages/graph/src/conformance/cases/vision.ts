import { type BackendCase, type CaseStep, rowsStep } from '../case.js';

/** Two images of 4 and 8 patches: T tells the image, H and W the place in it. */
const images: CaseStep = {
  sequences: [
    {
      ...rowsStep(12).sequences[0]!,
      positions: (index) => (index < 4 ? [0, index >> 1, index & 1] : [1, (index - 4) >> 2, (index - 4) & 3]),
    },
  ],
};

const dense: BackendCase = {
  name: 'attend_dense within each image',
  ops: ['attend_dense'],
  boundOf: 'attend_dense',
  bound: 2e-5,
  vocab: 64,
  steps: [images],
  mutation: 'keys and values are exchanged',
  build(writer, mutated) {
    const [q, k, v] = [writer.input('q', 48), writer.input('k', 48), writer.input('v', 48)];
    const attributes = { headDim: 24, scale: 1 / Math.sqrt(24) };
    return writer.finish(writer.run('attend_dense', mutated ? [q, v, k] : [q, k, v], {}, attributes));
  },
};

const turned: BackendCase = {
  name: 'rope_2d of heads of 24',
  ops: ['rope_2d'],
  boundOf: 'rope_2d',
  bound: 1e-5,
  vocab: 64,
  steps: [images],
  mutation: 'the frequencies are those of larger heads',
  build(writer, mutated) {
    const inverseFrequency = writer.vector('inverse', 6, (index) => 10000 ** (-index / (mutated ? 8 : 6)));
    return writer.finish(writer.run('rope_2d', [writer.input('x', 48)], { inverseFrequency }, { headDim: 24 }));
  },
};

export const visionCases: readonly BackendCase[] = [dense, turned];
