import { CortexError } from '@helexa/core';
import test from 'ava';
import { backendSuite } from '../conformance/backend.suite.js';
import { type BackendCase, rowsStep } from '../conformance/case.js';
import { lowerCase, uploadAll, writeStep } from '../conformance/run-case.js';
import { instructionWords, word } from '../program.js';
import { sampling } from '../step.js';
import { type ReferenceOptions, referenceBackend } from './reference.js';

// Fused programs against plain ones; and every case shows that its bound refuses its mutation.
backendSuite(test, { name: 'reference', backend: () => referenceBackend(), batchInvariant: true });

const subject: BackendCase = {
  name: 'subject',
  ops: [],
  boundOf: '',
  bound: 0,
  vocab: 48,
  ranks: 2,
  steps: [rowsStep(3)],
  mutation: 'none',
  build: (writer) => writer.finish(writer.run('all_reduce', [writer.input(`x${writer.rank}`, 48)])),
};

async function loaded(options: ReferenceOptions = {}) {
  const lowered = lowerCase(subject, { mutated: false });
  const { programs, limits, parts } = lowered;
  const backend = referenceBackend(options);
  const model = await backend.load({ programs, limits, devices: [0, 0], kvFormat: 'F16' });
  for (const [rank, { tensors }] of parts.entries()) await uploadAll(model, rank, tensors);
  await model.seal();
  writeStep(model, subject, subject.steps[0]!, false);
  return { backend, model };
}

test('referenceBackend gives way to other work during a step', async (t) => {
  let time = 0;
  // Every reading of the clock is a slice later.
  const { model } = await loaded({ now: () => (time += 11) });
  const order: string[] = [];
  setImmediate(() => order.push('other work'));
  const report = await model.step();
  order.push('step');
  t.deepEqual(order, ['other work', 'step']);
  t.is(report.deviceNs % 11e6, 0);
});

test('referenceBackend refuses a second step while one runs', async (t) => {
  let time = 0;
  const { model } = await loaded({ now: () => (time += 11) });
  const first = model.step();
  const error = await t.throwsAsync(() => model.step(), { instanceOf: CortexError });
  t.is((error as CortexError).code, 'step_invalid');
  await first;
  await t.notThrowsAsync(() => model.step());
});

test('referenceBackend reports what it holds', async (t) => {
  const { model } = await loaded();
  const [first, second] = model.memory;
  // Two matrices of 48 x 48, decoded to float32.
  t.is(first!.weightBytes, 2 * 48 * 48 * 4);
  t.is(second!.weightBytes, first!.weightBytes);
  t.is(first!.kvBytes + first!.stateBytes, 0);
  t.is(first!.stepBytes, model.buffer.byteLength);
});

test('referenceBackend disposes its models with itself', async (t) => {
  const { backend, model } = await loaded();
  await backend.dispose();
  const error = await t.throwsAsync(() => model.step(), { instanceOf: CortexError });
  t.is((error as CortexError).code, 'disposed');
});

test('referenceBackend refuses ranks that do not run in lock step', async (t) => {
  const { programs, limits } = lowerCase(subject, { mutated: false });
  const load = (changed: typeof programs) =>
    referenceBackend().load({ programs: changed, limits, devices: [0, 0], kvFormat: 'F32' });
  const shorter = { ...programs[1]!, words: programs[1]!.words.slice(0, -instructionWords) };
  const cases = [[programs[0]!, shorter], [programs[0]!, { ...programs[1]!, rank: 0 }], [programs[0]!], []];
  for (const changed of cases) {
    const error = await t.throwsAsync(() => load(changed), { instanceOf: CortexError });
    t.is((error as CortexError).code, 'program_invalid');
  }
});

test('referenceBackend refuses a parameter that is not a number', async (t) => {
  const norm: BackendCase = {
    ...subject,
    ranks: 1,
    build: (writer) =>
      writer.finish(writer.run('rms_norm', [writer.input('x', 16)], { weight: writer.vector('w', 16) }, { eps: 1e-6 })),
  };
  const { programs, limits } = lowerCase(norm, { mutated: false });
  const words = programs[0]!.words.slice();
  new Float32Array(words.buffer)[instructionWords + word.params] = Number.NaN;
  const program = { ...programs[0]!, words };
  const run = () => referenceBackend().load({ programs: [program], limits, devices: [0], kvFormat: 'F32' });
  const error = await t.throwsAsync(run, { instanceOf: CortexError, message: /instruction 1.*'eps' is NaN/ });
  t.is((error as CortexError).code, 'program_invalid');
});

test('referenceBackend refuses sampling parameters out of their range, by name', async (t) => {
  const { model } = await loaded();
  const { layout, buffer } = model;
  const i32 = new Int32Array(buffer);
  const f32 = new Float32Array(buffer);
  const cases: readonly (readonly [keyof typeof sampling, Int32Array | Float32Array, number])[] = [
    ['temperature', f32, Number.NaN],
    ['topP', f32, 1.5],
    ['minP', f32, -0.1],
    ['repetitionPenalty', f32, 0],
    ['topK', i32, -1],
    ['biasCount', i32, 5],
    ['topLogprobs', i32, 6],
    ['historyLength', i32, 100000],
    ['promptLength', i32, 1],
  ];
  for (const [field, view, value] of cases) {
    writeStep(model, subject, subject.steps[0]!, false);
    view[layout.sampling + sampling[field]] = value;
    const message = new RegExp(`sampling\\[0\\]\\.${field}' is`);
    const error = await t.throwsAsync(() => model.step(), { instanceOf: CortexError, message });
    t.is((error as CortexError).code, 'step_invalid');
  }
});
