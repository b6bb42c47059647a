import { CortexError } from '@helexa/core';
import { type Backend, createArchitectureRegistry, type KvFormat } from '@helexa/graph';
import { loadModel } from '@helexa/neuron';
import { architectures } from '../shared/architectures.js';
import { checkImages } from './check-images.js';
import { failedTokenizerCases } from './check-tokenizer.js';
import { compareLogits } from './compare-logits.js';
import type { ParityCase, ParityModel } from './parity-cases.js';
import type { ParityLine, ParityVerdict } from './parity-line.js';
import { type FeedMode, runCases } from './run-cases.js';
import { StepDriver } from './step-driver.js';
import { isWithin, toleranceOf } from './tolerance.js';

/** How a model is loaded and fed. */
export interface ParitySettings {
  readonly backend: Backend;
  readonly ranks: number;
  readonly kv: KvFormat;
  readonly modes: readonly FeedMode[];
  readonly skipsUnsupported: boolean;
  /** Texts do not depend on a device: once is enough. */
  readonly checksTokenizer: boolean;
}

/** Takes a line of the report; the caller knows the setting. */
export type ReportLine = (line: Omit<ParityLine, 'setting'>) => void;

/** Logits kept for the report are bounded: longer prompts are fed in more steps. */
const maxLogitBytes = 256 * 2 ** 20;

/** Errors that say this build cannot run a model, rather than that it runs it wrongly. */
const unsupportedCodes = new Set(['architecture_unknown', 'tensor_format', 'op_unsupported']);

/** Loads one model as the settings say and reports every case in every mode. */
export async function checkModel(model: ParityModel, settings: ParitySettings, report: ReportLine): Promise<void> {
  const unsupported = settings.skipsUnsupported ? 'skipped' : 'FAIL';
  if (model.tokenizer.length > 0 && settings.checksTokenizer) {
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
    const text = `not run: ${[error.message, error.suggestion].filter(Boolean).join('. ')}`;
    const works = error.code === 'cannot_shard' ? (error as CortexError<'cannot_shard'>).details.works : undefined;
    report({ model: model.name, case: '-', mode: '-', verdict, text, ...(works ? { works } : {}) });
  }
}

/** A rank count that a model's own counts do not allow is the right answer to it, said aloud, not a failure. */
function verdictOf(error: CortexError, unsupported: 'FAIL' | 'skipped'): ParityVerdict {
  if (error.code === 'cannot_shard') return 'refused';
  return unsupportedCodes.has(error.code) ? unsupported : 'FAIL';
}

async function checkLogits(model: ParityModel, settings: ParitySettings, report: ReportLine): Promise<void> {
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
  settings: ParitySettings,
  report: ReportLine,
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
