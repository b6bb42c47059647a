import { CortexError } from '@helexa/core';
import type { Backend, DeviceModel } from '../backend.js';
import { visionOps } from '../opcodes.js';
import { instructionWords, word } from '../program.js';
import { header, patchPlace } from '../step.js';
import type { SuiteAssertions } from './architecture.suite.js';
import { type BackendCase, rowsStep } from './case.js';
import type { CaseTensor } from './case-writer.js';
import { randomStream } from './random.js';
import { type CasePrograms, distance, lowerCase, readAnswer, runCase, uploadAll, writeStep } from './run-case.js';

type ContractCheck = (t: SuiteAssertions, backend: Backend) => Promise<void>;

const vocab = 64;

/** A small program that every backend has the ops for. */
const subject: BackendCase = {
  name: 'contract',
  ops: [],
  boundOf: 'linear.F32',
  bound: 1e-5,
  vocab,
  steps: [rowsStep(5)],
  mutation: 'none',
  build: (writer) =>
    writer.finish(writer.run('linear', [writer.input('x', 32)], { matrix: writer.matrix('w', [24], 32) })),
};

async function load(backend: Backend, change: (lowered: CasePrograms) => CasePrograms = (same) => same) {
  const lowered = change(lowerCase(subject, { mutated: false }));
  const { programs, limits, parts } = lowered;
  const kvFormat = [...backend.kvFormats][0]!;
  const model = await backend.load({ programs, devices: [0], limits, kvFormat });
  return { model, tensors: parts[0]!.tensors };
}

/** The code of the typed error that an action ends with; fails the test when it ends otherwise. */
async function codeOf(t: SuiteAssertions, what: string, action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (CortexError.isInstance(error)) return error.code;
    t.fail(`${what} ends with ${error}; a typed error is wanted`);
    return '';
  }
  t.fail(`${what} is accepted; a refusal is wanted`);
  return '';
}

/** Words of the first instruction with one of them changed. */
const changed =
  (at: number, value: (old: number) => number) =>
  (lowered: CasePrograms): CasePrograms => ({
    ...lowered,
    programs: lowered.programs.map((program) => {
      const words = program.words.slice();
      words[at] = value(words[at]!);
      return { ...program, words };
    }),
  });

const refusesPrograms: ContractCheck = async (t, backend) => {
  const matrix = instructionWords;
  const cases: readonly (readonly [string, ReturnType<typeof changed>])[] = [
    ['an unknown opcode', changed(word.opcode, () => 999)],
    ['an unknown row symbol', changed(word.rows, () => 7)],
    ['an output before the arena', changed(word.outputs, () => -2)],
    ['an output beyond the arena', changed(word.outputs, () => 2 ** 30)],
    ['a stride that leaves the arena', changed(word.outputs + 1, () => 2 ** 26)],
    ['a tensor that is not there', changed(word.weights, () => 99)],
    ['a missing weight', changed(word.weights, () => -1)],
    ['a width unlike its table', changed(word.n, (n) => n + 16)],
    ['a product unlike its matrix', changed(matrix + word.k, (k) => k + 1)],
    ['words that are not whole instructions', (lowered) => cut(lowered)],
  ];
  for (const [what, change] of cases) {
    const code = await codeOf(t, what, async () => (await load(backend, change)).model.dispose());
    t.deepEqual(code, 'program_invalid', what);
  }
};

const cut = (lowered: CasePrograms): CasePrograms => ({
  ...lowered,
  programs: lowered.programs.map((program) => ({ ...program, words: program.words.slice(0, -1) })),
});

const sealsFilledOnly: ContractCheck = async (t, backend) => {
  const missing = await load(backend);
  await uploadAll(missing.model, 0, missing.tensors, 1);
  t.deepEqual(await codeOf(t, 'seal without a tensor', () => missing.model.seal()), 'upload_invalid');
  await missing.model.dispose();

  const twice = await load(backend);
  await uploadAll(twice.model, 0, twice.tensors);
  const code = await codeOf(t, 'a row filled twice', async () => {
    await twice.model.upload(0, 0, 3, rowOf(twice.tensors[0]!, 3));
    await twice.model.seal();
  });
  t.deepEqual(code, 'upload_invalid');
  await twice.model.dispose();

  const outside = await load(backend);
  const beyond = () => outside.model.upload(0, 0, vocab, rowOf(outside.tensors[0]!, 0));
  t.deepEqual(await codeOf(t, 'a row beyond its tensor', beyond), 'upload_invalid');
  const part = () => outside.model.upload(0, 0, 0, rowOf(outside.tensors[0]!, 0).subarray(4));
  t.deepEqual(await codeOf(t, 'a part of a row', part), 'upload_invalid');
  await outside.model.dispose();
};

function rowOf({ spec, bytes }: CaseTensor, row: number): Uint8Array {
  const size = bytes.length / spec.rows;
  return bytes.subarray(row * size, (row + 1) * size);
}

/** Each spoils one word of a good step. */
const spoils: readonly (readonly [string, (model: DeviceModel) => number, number])[] = [
  ['a token beyond the vocabulary', ({ layout }) => layout.tokens + 2, vocab],
  ['a negative token', ({ layout }) => layout.tokens, -1],
  ['too many rows', ({ layout }) => layout.header + header.rows, 66],
  ['a negative count', ({ layout }) => layout.header + header.sampled, -1],
  ['a slot that is not there', ({ layout }) => layout.sequenceSlot, 4],
  ['rows beyond the step', ({ layout }) => layout.sequenceRows, 6],
  ['a length shorter than its rows', ({ layout }) => layout.sequenceLength, 4],
  ['a page beyond the pool', ({ layout }) => layout.pageTable, 16],
  ['a sampled row beyond the step', ({ layout }) => layout.sampleRow + 1, 5],
  ['a mask flag that is neither 0 nor 1', ({ layout }) => layout.sampleMasked, 2],
];

const survivesBadSteps: ContractCheck = async (t, backend) => {
  const { model, tensors } = await load(backend);
  await uploadAll(model, 0, tensors);
  await model.seal();
  const run = async () => {
    await model.step();
    return [readAnswer(model)];
  };
  writeStep(model, subject, subject.steps[0]!, false);
  const good = await run();
  for (const [what, wordOf, value] of spoils) {
    writeStep(model, subject, subject.steps[0]!, false);
    new Int32Array(model.buffer)[wordOf(model)] = value;
    t.deepEqual(await codeOf(t, what, () => model.step()), 'step_invalid', what);
    writeStep(model, subject, subject.steps[0]!, false);
    t.deepEqual(distance(await run(), good), 0, `the step after ${what} answers otherwise`);
  }
  await model.dispose();
};

/** Every op of a vision tower, and a text row for each feature. */
const seeing: BackendCase = {
  ...subject,
  vision: { maxPatches: 16, patchWidth: 8, maxFeatures: 16, featureWidth: 32 },
  steps: [
    {
      images: [
        [2, 2],
        [2, 4],
      ],
      sequences: [{ slot: 0, start: 0, tokens: [3, -1, -2, -3, 4] }],
    },
  ],
  build(writer) {
    const table = writer.matrix('places', [16], 8, { lookup: true });
    const x = writer.run('add', [
      writer.patches('x', 8, 8),
      writer.run('patch_position', [], { table }, { side: 4 })[0]!,
    ])[0]!;
    const turned = writer.run('rope_2d', [x], { inverseFrequency: writer.vector('f', 2) }, { headDim: 8 })[0]!;
    const seen = writer.run('attend_dense', [turned, turned, x], {}, { headDim: 4, scale: 0.5 })[0]!;
    return writer.finishFeatures(writer.run('patch_merge', [seen], {}, { merge: 2 })[0]!);
  },
};

const isSeeing = ({ ops }: Backend): boolean => visionOps.every((op) => ops.has(op));

const patchOf = (what: keyof typeof patchPlace, patch: number) => (model: DeviceModel) =>
  model.layout.patches + patchPlace[what] * 16 + patch;

/** Each spoils one word of a good step with images. */
const imageSpoils: readonly (readonly [string, (model: DeviceModel) => number, number])[] = [
  ['too many patches', ({ layout }) => layout.header + header.patches, 17],
  ['a negative count of patches', ({ layout }) => layout.header + header.patches, -1],
  ['too many features', ({ layout }) => layout.header + header.features, 17],
  ['a feature beyond the last', ({ layout }) => layout.tokens + 1, -17],
  ['a patch below its grid', patchOf('y', 3), 2],
  ['a patch beside its grid', patchOf('x', 5), 4],
  ['a patch before its grid', patchOf('x', 5), -1],
  ['a grid of nothing', patchOf('gridHeight', 0), 0],
  ['a grid larger than any step', patchOf('gridWidth', 0), 17],
  ['an image that begins at 1', patchOf('image', 0), 1],
  ['an image after a later one', patchOf('image', 11), 0],
];

const survivesBadImages: ContractCheck = async (t, backend) => {
  // Such a backend refuses a program with these ops at load, as it does any other.
  if (!isSeeing(backend)) {
    t.true(visionOps.some((op) => !backend.ops.has(op)));
    return;
  }
  const { programs, parts, limits } = lowerCase(seeing, { mutated: false });
  const model = await backend.load({ programs, devices: [0], limits, kvFormat: [...backend.kvFormats][0]! });
  await uploadAll(model, 0, parts[0]!.tensors);
  await model.seal();
  const run = async () => {
    writeStep(model, seeing, seeing.steps[0]!, false);
    await model.step();
    return [readAnswer(model)];
  };
  const good = await run();
  for (const [what, wordOf, value] of imageSpoils) {
    writeStep(model, seeing, seeing.steps[0]!, false);
    new Int32Array(model.buffer)[wordOf(model)] = value;
    t.deepEqual(await codeOf(t, what, () => model.step()), 'step_invalid', what);
    t.deepEqual(distance(await run(), good), 0, `the step after ${what} answers otherwise`);
  }
  await model.dispose();
};

const disposes: ContractCheck = async (t, backend) => {
  const { model, tensors } = await load(backend);
  await uploadAll(model, 0, tensors);
  await model.seal();
  writeStep(model, subject, subject.steps[0]!, false);
  const running = model.step();
  await model.dispose();
  await running;
  await model.dispose();
  t.deepEqual(await codeOf(t, 'a step after dispose', () => model.step()), 'disposed');
  t.deepEqual(await codeOf(t, 'a seal after dispose', () => model.seal()), 'disposed');
};

const refusesEarlySteps: ContractCheck = async (t, backend) => {
  const { model } = await load(backend);
  t.deepEqual(await codeOf(t, 'a step before seal', () => model.step()), 'step_invalid');
  await model.dispose();
};

const runsTwoModels: ContractCheck = async (t, backend) => {
  const lowered = lowerCase(subject, { mutated: false });
  const kvFormat = [...backend.kvFormats][0]!;
  const [first, second] = await Promise.all(
    [0, 1].map(() => runCase(subject, backend, lowered, { kvFormat, mutated: false })),
  );
  t.deepEqual(distance(first!, second!), 0);
};

/** Attention, a recurrent layer and products: an instruction of every kind that follows indices of a step or a program. */
const various: BackendCase = {
  ...subject,
  build(writer) {
    const x = writer.input('x', 32);
    const qkv = writer.run('linear', [x], { matrix: writer.matrix('qkv', [32, 16, 16], 32) })[0]!;
    const [q, k, v] = [writer.segment(qkv, 0), writer.segment(qkv, 1), writer.segment(qkv, 2)];
    writer.run('kv_append', [k, v], {}, { layer: 0, headDim: 16 });
    const y = writer.run('attend', [q], {}, { layer: 0, headDim: 16, scale: 0.25, window: 0 })[0]!;
    const normed = writer.run('rms_norm', [y], { weight: writer.vector('norm', 32) }, { eps: 1e-5 })[0]!;
    return writer.finish(writer.run('add', [normed, x]));
  },
};

/** A wrong word is refused at load, or leads to some answer; it never reaches memory that is not the model's. */
const survivesWrongWords: ContractCheck = async (t, backend) => {
  await spoilWords(t, backend, various);
  if (isSeeing(backend)) await spoilWords(t, backend, seeing);
};

async function spoilWords(t: SuiteAssertions, backend: Backend, spec: BackendCase): Promise<void> {
  const lowered = lowerCase(spec, { mutated: false });
  const [program] = lowered.programs;
  const next = randomStream('wrong words');
  const values = [-1, 0, 1, 3, 17, 64, 4096, 2 ** 20, 2 ** 31 - 1, -(2 ** 31)];
  const options = { kvFormat: [...backend.kvFormats][0]!, mutated: false };
  let refused = 0;
  for (let round = 0; round < 200; round++) {
    const words = program!.words.slice();
    const at = Math.floor(next() * words.length);
    words[at] = values[Math.floor(next() * values.length)]!;
    try {
      await runCase(spec, backend, { ...lowered, programs: [{ ...program!, words }] }, options);
    } catch (error) {
      const what = `word ${at % instructionWords} of instruction ${Math.floor(at / instructionWords)} as ${words[at]}`;
      t.true(CortexError.isInstance(error), `${what} ends with ${error}; a typed error is wanted`);
      refused++;
    }
  }
  // Most words are checked; those of absent operands and unused parameters are not read.
  t.true(refused > 20, `only ${refused} of 200 wrong words are refused`);
}

/** What a backend does around the arithmetic, by the title of its test. */
export const contractCases: readonly (readonly [title: string, check: ContractCheck])[] = [
  ['refuses programs that could touch what they must not', refusesPrograms],
  ['survives any wrong word of a program', survivesWrongWords],
  ['seals only when every row was filled exactly once', sealsFilledOnly],
  ['refuses a bad step and runs the next', survivesBadSteps],
  ['refuses a bad image and runs the next step', survivesBadImages],
  ['refuses a step before seal', refusesEarlySteps],
  ['disposes after the running step, and then refuses', disposes],
  ['runs two models side by side', runsTwoModels],
];
