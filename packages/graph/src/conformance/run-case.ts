import type { Backend, DeviceModel, KvFormat } from '../backend.js';
import { ops } from '../ops/index.js';
import { fuse } from '../passes/fuse.js';
import { lower } from '../passes/lower.js';
import { planMemory } from '../passes/plan-memory.js';
import { verify } from '../passes/verify.js';
import { type Program, pageTokens } from '../program.js';
import {
  header,
  maskWords,
  patchPlace,
  type StepLayout,
  type StepLimits,
  sampled,
  sampling,
  type VisionLimits,
} from '../step.js';
import type { BackendCase, CaseSampling, CaseStep } from './case.js';
import { type CaseGraph, CaseWriter } from './case-writer.js';
import { randomValues } from './random.js';

/** What the rows of one step answered. */
export interface StepAnswer {
  /** [rows][vocab] */
  readonly logits: readonly Float32Array[];
  readonly tokens: readonly number[];
  readonly flags: readonly number[];
  readonly logprobs: readonly number[];
  readonly top: readonly (readonly { readonly token: number; readonly logprob: number }[])[];
}

export interface CasePrograms {
  readonly programs: readonly Program[];
  readonly parts: readonly CaseGraph[];
  readonly limits: StepLimits;
}

export const caseLimits = (vocab: number, vision?: VisionLimits, snapshots = 0): StepLimits => ({
  maxRows: 65,
  maxSequences: 4,
  maxSampled: 65,
  maxContext: 4 * pageTokens,
  pages: 16,
  vocab,
  maxBias: 4,
  maxTopLogprobs: 5,
  exposeLogits: true,
  ...(snapshots > 0 ? { snapshots } : {}),
  ...(vision ? { vision } : {}),
});

/** Writes a case, right or with its mutation, and lowers it as it is written. */
export function lowerCase(spec: BackendCase, { mutated }: { readonly mutated: boolean }): CasePrograms {
  const writers = Array.from({ length: spec.ranks ?? 1 }, (_, rank) => new CaseWriter(spec.vocab, rank));
  return lowerParts(
    spec,
    writers.map((writer) => spec.build(writer, mutated)),
    null,
  );
}

/** The same case with the fusions and the quantised activations of a backend. */
export const fuseCase = (
  spec: BackendCase,
  { parts }: CasePrograms,
  target: Pick<Backend, 'fusions' | 'quantisedRowBytes'>,
): CasePrograms => lowerParts(spec, parts, target);

function lowerParts(
  spec: BackendCase,
  parts: readonly CaseGraph[],
  target: Pick<Backend, 'fusions' | 'quantisedRowBytes'> | null,
): CasePrograms {
  const ranks = parts.length;
  const limits = caseLimits(spec.vocab, spec.vision, spec.snapshots);
  const programs = parts.map(({ graph, tensors }, rank) => {
    const specs = tensors.map((tensor) => tensor.spec);
    const formatOf = (tensor: number) => specs[tensor]!.format;
    const fused = target ? fuse(graph, { definitions: ops, backend: target, formatOf }) : graph;
    verify(fused, ops);
    return lower(fused, planMemory(fused, limits), {
      rank,
      ranks,
      definitions: ops,
      tensors: specs,
      vocab: spec.vocab,
    });
  });
  return { programs, parts, limits };
}

/** Loads a case on a backend, runs its steps and frees everything. */
export async function runCase(
  spec: BackendCase,
  backend: Backend,
  { programs, parts, limits }: CasePrograms,
  options: { readonly kvFormat: KvFormat; readonly mutated: boolean },
): Promise<readonly StepAnswer[]> {
  const devices = programs.map(() => 0);
  const model = await backend.load({ programs, devices, limits, kvFormat: options.kvFormat });
  try {
    for (const [rank, { tensors }] of parts.entries()) await uploadAll(model, rank, tensors);
    await model.seal();
    const answers: StepAnswer[] = [];
    for (const step of spec.steps) {
      writeStep(model, spec, step, options.mutated);
      await model.step();
      answers.push(readAnswer(model));
    }
    return answers;
  } finally {
    await model.dispose();
  }
}

/** Uploads tensors but those left out, last rows first and in two parts: rows may come in any order. */
export async function uploadAll(
  model: DeviceModel,
  rank: number,
  tensors: CaseGraph['tensors'],
  leaveOut: number | null = null,
): Promise<void> {
  for (const [index, { spec, bytes }] of tensors.entries()) {
    if (index === leaveOut) continue;
    const rowBytes = bytes.length / spec.rows;
    const middle = Math.floor(spec.rows / 2);
    await model.upload(rank, index, middle, bytes.subarray(middle * rowBytes));
    if (middle > 0) await model.upload(rank, index, 0, bytes.subarray(0, middle * rowBytes));
  }
}

interface Views {
  readonly layout: StepLayout;
  readonly i32: Int32Array;
  readonly f32: Float32Array;
}

const viewsOf = ({ layout, buffer }: DeviceModel): Views => ({
  layout,
  i32: new Int32Array(buffer),
  f32: new Float32Array(buffer),
});

const integerParameters: ReadonlySet<string> = new Set([
  'topK',
  'seedLow',
  'seedHigh',
  'biasCount',
  'topLogprobs',
  'historyLength',
  'promptLength',
]);

/** Writes a step of a case into the step buffer. */
export function writeStep(model: DeviceModel, spec: BackendCase, step: CaseStep, mutated: boolean): void {
  const views = viewsOf(model);
  const { layout, i32 } = views;
  const { limits } = layout;
  let row = 0;
  for (const [s, { slot, tokens, start, positions }] of step.sequences.entries()) {
    i32[layout.sequenceSlot + s] = slot;
    i32[layout.sequenceRow + s] = row;
    i32[layout.sequenceRows + s] = tokens.length;
    i32[layout.sequenceLength + s] = start + tokens.length;
    // Pages run backwards and interleave the slots: nothing may rely on their order.
    for (let page = 0; page < layout.pagesPerSlot; page++) {
      i32[layout.pageTable + slot * layout.pagesPerSlot + page] =
        limits.pages - 1 - (page * limits.maxSequences + slot);
    }
    writeSampling(views, slot, spec, mutated);
    for (const [index, token] of tokens.entries()) {
      i32[layout.tokens + row] = token;
      const place = positions?.(index) ?? [start + index, start + index, start + index];
      for (let axis = 0; axis < 3; axis++) i32[layout.positions + axis * limits.maxRows + row] = place[axis]!;
      i32[layout.sampleRow + row] = row;
      i32[layout.sampleSlot + row] = slot;
      i32[layout.sampleCounter + row] = row;
      writeMask(views, row, spec.sampling?.(slot, mutated).allows);
      row++;
    }
  }
  const copies = mutated ? [] : (step.copies ?? []);
  i32.set(copies.flat(), layout.stateCopies);
  i32[layout.header + header.copies] = copies.length;
  i32[layout.header + header.rows] = row;
  i32[layout.header + header.sequences] = step.sequences.length;
  i32[layout.header + header.sampled] = row;
  writeImages(views, step.images ?? []);
}

/** Patches of all images one after another, and as many feature rows: a case that merges leaves the rest zeros. */
function writeImages({ layout, i32, f32 }: Views, images: NonNullable<CaseStep['images']>): void {
  const { maxPatches = 0, patchWidth = 0 } = layout.limits.vision ?? {};
  let patch = 0;
  for (const [image, [gridHeight, gridWidth]] of images.entries())
    for (let place = 0; place < gridHeight * gridWidth; place++) {
      const known = { image, y: Math.floor(place / gridWidth), x: place % gridWidth, gridHeight, gridWidth };
      for (const [what, value] of Object.entries(known))
        i32[layout.patches + patchPlace[what as keyof typeof known] * maxPatches + patch] = value;
      patch++;
    }
  f32.set(randomValues('pixels', patch * patchWidth), layout.pixels);
  i32[layout.header + header.patches] = patch;
  i32[layout.header + header.features] = patch;
}

function writeSampling({ layout, i32, f32 }: Views, slot: number, spec: BackendCase, mutated: boolean): void {
  const { parameters, history = [], biases = [] } = spec.sampling?.(slot, mutated) ?? { parameters: {} };
  const at = layout.sampling + slot * sampling.size;
  const neutral = { topP: 1, repetitionPenalty: 1, historyLength: history.length, biasCount: biases.length };
  i32.fill(0, at, at + sampling.size);
  for (const [name, value] of Object.entries({ ...neutral, ...parameters })) {
    const word = at + sampling[name as keyof typeof sampling];
    if (integerParameters.has(name)) i32[word] = value;
    else f32[word] = value;
  }
  i32.set(history, layout.history + slot * layout.limits.maxContext);
  for (const [index, [token, value]] of biases.entries()) {
    i32[layout.biasToken + slot * layout.limits.maxBias + index] = token;
    f32[layout.biasValue + slot * layout.limits.maxBias + index] = value;
  }
}

function writeMask({ layout, i32 }: Views, row: number, allows: CaseSampling['allows']): void {
  const { vocab } = layout.limits;
  const words = maskWords(vocab);
  const at = layout.masks + row * words;
  i32[layout.sampleMasked + row] = allows ? 1 : 0;
  i32.fill(0, at, at + words);
  for (let token = 0; token < vocab; token++) if (allows?.(row, token)) i32[at + (token >>> 5)]! |= 1 << (token & 31);
}

/** Reads what the last step answered. */
export function readAnswer(model: DeviceModel): StepAnswer {
  const { layout, i32, f32 } = viewsOf(model);
  const { vocab, maxTopLogprobs } = layout.limits;
  const rows = Array.from({ length: i32[layout.header + header.sampled]! }, (_, row) => row);
  const output = (row: number, word: number): number => layout.output + row * sampled.size + word;
  return {
    logits: rows.map((row) => f32.slice(layout.logits + row * vocab, layout.logits + (row + 1) * vocab)),
    tokens: rows.map((row) => i32[output(row, sampled.token)]!),
    flags: rows.map((row) => i32[output(row, sampled.flags)]!),
    logprobs: rows.map((row) => f32[output(row, sampled.logprob)]!),
    top: rows.map((row) =>
      Array.from({ length: maxTopLogprobs }, (_, i) => ({
        token: i32[layout.topToken + row * maxTopLogprobs + i]!,
        logprob: f32[layout.topLogprob + row * maxTopLogprobs + i]!,
      })),
    ),
  };
}

/**
 * How far the logits of a run are from the wanted ones: the largest difference in any row, as a share of the root mean
 * square of that row's wanted columns that are not zero. Infinite where a number is not finite or a row of zeros is not one.
 */
export function distance(actual: readonly StepAnswer[], wanted: readonly StepAnswer[]): number {
  let worst = 0;
  for (const [step, { logits }] of wanted.entries()) {
    for (const [row, want] of logits.entries()) {
      const have = actual[step]!.logits[row]!;
      let squares = 0;
      let columns = 0;
      let difference = 0;
      for (const [column, value] of want.entries()) {
        squares += value * value;
        if (value !== 0) columns++;
        const apart = Math.abs(have[column]! - value);
        difference = Math.max(difference, Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart);
      }
      if (difference > 0) worst = Math.max(worst, difference / Math.sqrt(squares / Math.max(1, columns)));
    }
  }
  return worst;
}
