import type { BackendCase, CaseSampling, CaseStep } from '../case.js';

const vocab = 211;

/** Four slots of sixteen draws each: the counter of a draw is its row. */
const steps: readonly CaseStep[] = [
  {
    sequences: [0, 1, 2, 3].map((slot) => ({
      slot,
      start: 0,
      tokens: Array.from({ length: 16 }, (_, index) => slot * 16 + index),
    })),
  },
];

const history = [3, 3, 3, 7, 50, 11, 11, 12, 140, 141, 3, 11];

function sampling(
  name: string,
  mutation: string,
  right: CaseSampling,
  wrong: CaseSampling,
  logitScale = 2,
): BackendCase {
  return {
    name: `sample, ${name}`,
    ops: ['sample'],
    boundOf: 'sample',
    bound: 1e-6,
    vocab,
    steps,
    mutation,
    sampling(slot, mutated) {
      const { parameters, ...rest } = mutated ? wrong : right;
      return { ...rest, parameters: { seedLow: 77 + slot, seedHigh: 5, topLogprobs: 5, ...parameters } };
    },
    build(writer) {
      return writer.finishWith(writer.run('gather_rows', [writer.input('logits', vocab, logitScale)])[0]!);
    },
  };
}

const warm = { temperature: 1 };

export const samplingCases: readonly BackendCase[] = [
  sampling('greedy', 'temperature 1', { parameters: {} }, { parameters: warm }),
  sampling('temperature 1', 'another seed', { parameters: warm }, { parameters: { ...warm, seedHigh: 6 } }),
  sampling('temperature 0.6', 'temperature 1', { parameters: { temperature: 0.6 } }, { parameters: warm }, 1),
  sampling('top-k 5', 'top-k 4', { parameters: { ...warm, topK: 5 } }, { parameters: { ...warm, topK: 4 } }),
  sampling('top-p 0.7', 'top-p 0.6', { parameters: { ...warm, topP: 0.7 } }, { parameters: { ...warm, topP: 0.6 } }),
  sampling('min-p 0.1', 'min-p 0.3', { parameters: { ...warm, minP: 0.1 } }, { parameters: { ...warm, minP: 0.3 } }),
  sampling(
    'temperature 0.8, top-k 20, top-p 0.9 and min-p 0.02',
    'top-p 0.5',
    { parameters: { temperature: 0.8, topK: 20, topP: 0.9, minP: 0.02 } },
    { parameters: { temperature: 0.8, topK: 20, topP: 0.5, minP: 0.02 } },
  ),
  sampling(
    'repetition penalty over prompt and output',
    'it passes over the first tokens of the prompt',
    {
      parameters: { ...warm, repetitionPenalty: 4, promptLength: 6 },
      history: Array.from({ length: 105 }, (_, i) => i),
    },
    {
      parameters: { ...warm, repetitionPenalty: 4, promptLength: 6 },
      history: Array.from({ length: 60 }, (_, i) => 45 + i),
    },
  ),
  sampling(
    'presence and frequency penalties over the output',
    'over the prompt too',
    {
      parameters: { presencePenalty: 0.5, frequencyPenalty: 0.7, promptLength: 4, temperature: 0.3 },
      history: dense(4),
    },
    {
      parameters: { presencePenalty: 0.5, frequencyPenalty: 0.7, promptLength: 0, temperature: 0.3 },
      history: dense(4),
    },
  ),
  sampling(
    'logit biases',
    'one of them is left out',
    {
      parameters: warm,
      history,
      biases: [
        [20, 4],
        [21, 3.5],
        [22, -100],
      ],
    },
    { parameters: warm, history, biases: [[20, 4]] },
  ),
  sampling(
    'a mask in every other row, temperature 0.9, top-k 40, top-p 0.95 and min-p 0.01',
    'no row has a mask',
    { parameters: { temperature: 0.9, topK: 40, topP: 0.95, minP: 0.01 }, allows: everyOtherRow },
    { parameters: { temperature: 0.9, topK: 40, topP: 0.95, minP: 0.01 } },
  ),
  sampling('a mask, greedy', 'no row has a mask', { parameters: {}, allows: everyOtherRow }, { parameters: {} }),
  sampling(
    'a mask of three tokens, with penalties and biases',
    'it allows two of them',
    {
      parameters: { ...warm, repetitionPenalty: 1.5, promptLength: 2 },
      history,
      biases: [[3, -100]],
      allows: (_, token) => token === 3 || token === 64 || token === vocab - 1,
    },
    {
      parameters: { ...warm, repetitionPenalty: 1.5, promptLength: 2 },
      history,
      biases: [[3, -100]],
      allows: (_, token) => token === 3 || token === 64,
    },
  ),
  sampling(
    'a mask that allows nothing in one slot',
    'it allows one token there',
    { parameters: warm, allows: (row) => row >= 16 },
    { parameters: warm, allows: (row, token) => row >= 16 || token === 100 },
  ),
  {
    ...sampling('logits that hold a NaN', 'there is none', { parameters: {} }, { parameters: {} }),
    build(writer, mutated) {
      const table = writer.matrix('logits', [vocab], vocab, {
        values: (row, col) => (row % 3 === 1 && col === 200 && !mutated ? Number.NaN : Math.sin(row * 31 + col)),
        lookup: true,
      });
      const x = writer.run('embed', [], { table }, { vocabStart: 0 })[0]!;
      return writer.finishWith(writer.run('gather_rows', [x])[0]!);
    },
  },
];

/** Rows of even number may choose a third of the tokens, the others any. */
function everyOtherRow(row: number, token: number): boolean {
  return row % 2 === 1 || token % 3 === row % 3;
}

/** A history whose first tokens are its prompt and which visits half the vocabulary, some of it twice. */
function dense(promptLength: number): readonly number[] {
  const prompt = Array.from({ length: promptLength }, (_, index) => 150 + index);
  const output = Array.from({ length: 120 }, (_, index) => (index * 2) % 160);
  return [...prompt, ...output];
}
