/**
 * Compares models with what an independent implementation computed: logits of every position and the tokens that follow,
 * with the prompt fed whole, in chunks, token by token and in a mixed batch. A folder of chat templates with their
 * `cases.json` is compared text by text.
 *
 * @example npm run parity -- --device cpu --tp 2 --mode all path/to/checkpoints path/to/gguf/index.json
 */
import { parseArgs } from 'node:util';
import { CortexError } from '@helexa/core';
import { type Backend, createArchitectureRegistry, type KvFormat } from '@helexa/graph';
import { loadModel } from '@helexa/neuron';
import { checkImages } from './parity/check-images.js';
import { checkTemplates, holdsTemplates } from './parity/check-templates.js';
import { failedTokenizerCases } from './parity/check-tokenizer.js';
import { compareLogits } from './parity/compare-logits.js';
import { findParityModels, type ParityCase, type ParityModel } from './parity/parity-cases.js';
import { type FeedMode, runCases } from './parity/run-cases.js';
import { StepDriver } from './parity/step-driver.js';
import { isWithin, toleranceOf } from './parity/tolerance.js';
import { architectures } from './shared/architectures.js';
import { openBackend } from './shared/open-backend.js';
import { runTool } from './shared/run-tool.js';

/** One line of the report. */
interface Line {
  readonly model: string;
  readonly case: string;
  readonly mode: string;
  readonly verdict: 'ok' | 'FAIL' | 'refused' | 'skipped';
  readonly text: string;
  readonly figures?: object;
}

interface Settings {
  readonly backend: Backend;
  readonly ranks: number;
  readonly kv: KvFormat;
  readonly modes: readonly FeedMode[];
  readonly skipsUnsupported: boolean;
}

const modes: Readonly<Record<string, readonly FeedMode[]>> = {
  whole: [{ name: 'whole', chunk: Number.POSITIVE_INFINITY, together: false }],
  chunked: [7, 64].map((chunk) => ({ name: `chunked-${chunk}`, chunk, together: false })),
  token: [{ name: 'token', chunk: 1, together: false }],
  batch: [{ name: 'batch', chunk: 17, together: true }],
};

/** Logits kept for the report are bounded: longer prompts are fed in more steps. */
const maxLogitBytes = 256 * 2 ** 20;

/** Errors that say this build cannot run a model, rather than that it runs it wrongly. */
const unsupportedCodes = new Set(['architecture_unknown', 'tensor_format', 'op_unsupported']);

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'cpu' },
      isa: { type: 'string', default: 'auto' },
      tp: { type: 'string', default: '1' },
      mode: { type: 'string', default: 'all' },
      kv: { type: 'string', default: 'F32' },
      json: { type: 'boolean', default: false },
      'skip-unsupported': { type: 'boolean', default: false },
    },
  });
  const chosen = values.mode === 'all' ? Object.values(modes).flat() : modes[values.mode];
  const ranks = Number(values.tp);
  if (positionals.length === 0 || chosen === undefined || !/^(?:F32|F16|BF16)$/.test(values.kv) || !(ranks >= 1)) {
    console.error(
      'Usage: npm run parity -- [--device cpu|reference] [--isa auto|avx512|avx2|portable] [--tp N]\n' +
        '  [--mode whole|chunked|token|batch|all] [--kv F32|F16|BF16] [--skip-unsupported] [--json] PATH...',
    );
    return 2;
  }
  const backend = await openBackend(values.device, values.isa);
  const settings: Settings = {
    backend,
    ranks,
    kv: values.kv as KvFormat,
    modes: chosen,
    skipsUnsupported: values['skip-unsupported'],
  };
  const lines: Line[] = [];
  const report = (line: Line) => {
    lines.push(line);
    const { model, case: name, mode, verdict, text, figures } = line;
    console.log(
      values.json
        ? JSON.stringify({ model, case: name, mode, verdict, text, ...figures })
        : `${verdict.padEnd(7)} ${model.padEnd(24)} ${name.padEnd(10)} ${mode.padEnd(11)} ${text}`,
    );
  };
  try {
    for (const path of positionals) {
      if (holdsTemplates(path)) reportTemplates(path, report);
      else for (const model of findParityModels(path)) await checkModel(model, settings, report);
    }
  } finally {
    await backend.dispose();
  }
  const count = (verdict: Line['verdict']) => lines.filter((line) => line.verdict === verdict).length;
  const summary = `${count('ok')} ok, ${count('FAIL')} failed, ${count('refused')} refused, ${count('skipped')} skipped`;
  if (!values.json) console.log(summary);
  return count('FAIL') > 0 || count('ok') === 0 ? 1 : 0;
}

function reportTemplates(path: string, report: (line: Line) => void): void {
  for (const { template, cases, failed } of checkTemplates(path))
    report({
      model: template,
      case: 'template',
      mode: '-',
      verdict: failed.length === 0 ? 'ok' : 'FAIL',
      text: `${cases - failed.length} of ${cases} renderings${failed.length > 0 ? `; wrong: ${failed.join(' ')}` : ''}`,
    });
}

async function checkModel(model: ParityModel, settings: Settings, report: (line: Line) => void): Promise<void> {
  const unsupported = settings.skipsUnsupported ? 'skipped' : 'FAIL';
  if (model.tokenizer.length > 0) {
    const failed = failedTokenizerCases(model);
    report({
      model: model.name,
      case: 'tokenizer',
      mode: '-',
      verdict: failed.length === 0 ? 'ok' : 'FAIL',
      text: `${model.tokenizer.length - failed.length} of ${model.tokenizer.length} texts${failed.length > 0 ? `; wrong: ${failed.join(' ')}` : ''}`,
    });
  }
  if (model.cases.length === 0) return;
  try {
    await checkLogits(model, settings, report);
  } catch (error) {
    if (!CortexError.isInstance(error)) throw error;
    const verdict = verdictOf(error, unsupported);
    report({ model: model.name, case: '-', mode: '-', verdict, text: `not run: ${error.message}` });
  }
}

/** A rank count that a model's own counts do not allow is the right answer to it, said aloud, not a failure. */
function verdictOf(error: CortexError, unsupported: 'FAIL' | 'skipped'): Line['verdict'] {
  if (error.code === 'cannot_shard') return 'refused';
  return unsupportedCodes.has(error.code) ? unsupported : 'FAIL';
}

async function checkLogits(model: ParityModel, settings: Settings, report: (line: Line) => void): Promise<void> {
  const { backend, ranks, kv } = settings;
  const tokensOf = (one: { ids: readonly number[]; greedy: readonly number[] }) => one.ids.length + one.greedy.length;
  const expectedCases = [...model.cases, ...model.imageCases];
  const vocab = expectedCases[0]!.vocab;
  const allRows = expectedCases.reduce((sum, one) => sum + one.ids.length, 0);
  const maxRows = Math.max(1, Math.min(allRows, Math.floor(maxLogitBytes / (vocab * 4))));
  const maxSequences = expectedCases.length;
  const maxContext = Math.max(...expectedCases.map(tokensOf));
  const loaded = await loadModel({
    path: model.path,
    registry: createArchitectureRegistry(architectures),
    backend,
    ranks,
    kvFormat: kv,
    limits: {
      maxRows: Math.max(maxRows, maxSequences),
      maxSequences,
      maxSampled: Math.max(maxRows, maxSequences),
      maxContext,
      pages: StepDriver.pagesFor(maxSequences, maxContext),
      exposeLogits: true,
    },
  });
  try {
    const cases = [...model.cases, ...(await readImageCases(model, loaded, settings, report))];
    const longest = Math.max(...cases.map((one) => one.ids.length));
    for (const mode of settings.modes) {
      const outputs = await runCases(new StepDriver(loaded.device), cases, mode, loaded.layout.limits.maxRows);
      cases.forEach((expected, index) => {
        const comparison = compareLogits(outputs[index]!, expected);
        const tolerance = toleranceOf(loaded.checkpoint, kv, expected.ids.length === longest);
        report({
          model: model.name,
          case: expected.name,
          mode: mode.name,
          verdict: isWithin(comparison, tolerance) ? 'ok' : 'FAIL',
          text: figuresText(comparison),
          figures: comparison,
        });
      });
    }
  } finally {
    await loaded.dispose();
  }
}

/** Image cases up to their features; what comes after is compared as text is. */
async function readImageCases(
  model: ParityModel,
  { device, images, notes }: Awaited<ReturnType<typeof loadModel>>,
  settings: Settings,
  report: (line: Line) => void,
): Promise<ParityCase[]> {
  const prompts: ParityCase[] = [];
  for (const one of model.imageCases) {
    if (!images) {
      const verdict = settings.skipsUnsupported ? 'skipped' : 'FAIL';
      report({ model: model.name, case: one.name, mode: '-', verdict, text: `not run: ${notes.join('; ')}` });
      continue;
    }
    const { findings, prompt } = await checkImages(one, device, images);
    for (const { what, isGood, text } of findings)
      report({ model: model.name, case: one.name, mode: what, verdict: isGood ? 'ok' : 'FAIL', text });
    prompts.push(prompt);
  }
  return prompts;
}

function figuresText(comparison: ReturnType<typeof compareLogits>): string {
  const { maxDifference, cosine, argmaxAgreement, greedyAgreement } = comparison;
  const percent = (share: number) => `${Math.round(share * 100)}%`;
  return `max|d| ${maxDifference.toExponential(2)}  cosine ${cosine.toFixed(8)}  argmax ${percent(argmaxAgreement)}  greedy ${percent(greedyAgreement)}`;
}

await runTool(main);
