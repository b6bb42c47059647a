import { readFileSync } from 'node:fs';
import { qwen3 } from '@helexa/arch-qwen3';
import { createArchitectureRegistry, pageTokens } from '@helexa/graph';
import { type LoadedModel, loadModel, loadTokenizer, StepWriter, type Tokenizer } from '@helexa/neuron';
import test from 'ava';
import { backendMakers, openBackend } from '../backends.js';
import { findModel } from '../find-model.js';

interface ExpectedCase {
  readonly prompt: string;
  readonly promptIds: readonly number[];
  readonly greedyIds: readonly number[];
}

const expectedFile = new URL('../../fixtures/cortex-tiny.expected.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(expectedFile, 'utf8')) as { cases: readonly ExpectedCase[] };
const maxContext =
  pageTokens * Math.ceil(Math.max(...cases.map((one) => one.promptIds.length + one.greedyIds.length)) / pageTokens);

const backend = openBackend({ device: 'cpu' }, () => {}, await backendMakers());
let model: LoadedModel;
let tokenizer: Tokenizer;

test.before(async () => {
  const { path } = await findModel(undefined, []);
  model = await loadModel({
    path,
    registry: createArchitectureRegistry([qwen3]),
    backend,
    ranks: 1,
    kvFormat: 'F16',
    limits: { maxRows: 256, maxSequences: 1, maxSampled: 1, maxContext, pages: maxContext / pageTokens },
  });
  tokenizer = await loadTokenizer(model.checkpoint);
});
test.after.always(async () => {
  await model?.dispose();
  await backend.dispose();
});

/** Greedy tokens of one prompt, up to and with the first that is expected to end the answer. */
async function greedy(prompt: readonly number[], count: number): Promise<number[]> {
  const writer = new StepWriter(model.device.layout, model.device.buffer);
  writer.openSlot(
    0,
    [...prompt],
    {
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      bias: [],
      topLogprobs: null,
    },
    0n,
  );
  writer.writePages(0, [...Array(model.device.layout.pagesPerSlot).keys()], 0);
  const chosen: number[] = [];
  let rows = [...prompt];
  let start = 0;
  while (chosen.length < count) {
    writer.writeStep([{ slot: 0, start, tokens: rows, sampleCounter: chosen.length }]);
    await model.device.step();
    start += rows.length;
    const { token } = writer.readSampled(0);
    chosen.push(token);
    rows = [token];
  }
  return chosen;
}

test('the demonstration model is tokenised and continued token by token as transformers does', async (t) => {
  t.true(cases.length > 0);
  for (const { prompt, promptIds, greedyIds } of cases) {
    t.deepEqual(tokenizer.encode(prompt, { special: true }), promptIds, prompt);
    t.deepEqual(await greedy(promptIds, greedyIds.length), greedyIds, prompt);
  }
});
