import type { RowSymbol } from './value.js';

/**
 * The shared memory between an engine and a device: everything a step reads and everything it answers, as int32 and
 * float32 views of one preallocated buffer whose pointer native code keeps. Nothing is allocated per step.
 *
 * Three regions: the input of the step in flight, the slot table (what a sequence keeps between steps: pages, history,
 * sampling parameters), and the output. A slot is one sequence's place; the engine owns which sequence has it.
 */

export interface StepLimits {
  /** Most rows (tokens) in one step: the chunk budget. */
  readonly maxRows: number;
  /** Most sequences in one step, and the number of slots. */
  readonly maxSequences: number;
  /** Most sampled rows in one step; at least maxSequences. */
  readonly maxSampled: number;
  /** Most tokens of one sequence; pages per slot follow. */
  readonly maxContext: number;
  /** Pages in the pool. */
  readonly pages: number;
  readonly vocab: number;
  /** Most logit-bias entries of a slot. */
  readonly maxBias: number;
  /** Most alternatives reported per sampled row. */
  readonly maxTopLogprobs: number;
  /** Keep a copy of the logits of sampled rows for the caller (parity, tests). */
  readonly exposeLogits: boolean;
  /** Recurrent states that are kept beside those of the slots, to begin other sequences with; absent: none. */
  readonly snapshots?: number;
  /** Absent: the model is compiled without its vision tower. */
  readonly vision?: VisionLimits;
}

export interface VisionLimits {
  /** Most patches in one step. */
  readonly maxPatches: number;
  /** Values of one patch. */
  readonly patchWidth: number;
  /** Most feature rows that one step makes, or takes in place of tokens. */
  readonly maxFeatures: number;
  readonly featureWidth: number;
}

/** Words of the header, in order. */
export const header = {
  sequence: 0,
  rows: 1,
  sequences: 2,
  sampled: 3,
  /** Patches for the vision tower and the feature rows it makes of them; 0 in a text step. */
  patches: 4,
  features: 5,
  /** Recurrent states to copy before anything runs. */
  copies: 6,
  size: 16,
} as const;

/** Sampling parameters of a slot: 32 words. f32 fields are read through the float view at the same index. */
export const sampling = {
  temperature: 0, // f32; <= 0 is greedy
  topK: 1, // i32; 0 = off
  topP: 2, // f32; 1 = off
  minP: 3, // f32; 0 = off
  repetitionPenalty: 4, // f32; 1 = off; over prompt and output
  presencePenalty: 5, // f32; 0 = off; over output
  frequencyPenalty: 6, // f32; 0 = off; over output
  seedLow: 7, // u32
  seedHigh: 8, // u32
  biasCount: 9, // i32
  topLogprobs: 10, // i32; how many alternatives to report; -1 = not even the chosen token's
  historyLength: 11, // i32; tokens of prompt and output so far
  promptLength: 12, // i32
  size: 32,
} as const;

/** What is known of a patch: the image of the step that it is of (counted up from 0) and its place in the image's grid. */
export const patchPlace = { image: 0, y: 1, x: 2, gridHeight: 3, gridWidth: 4, size: 5 } as const;

/** Words per sampled row of the output. */
export const sampled = {
  token: 0, // i32; -1 when no token could be chosen
  flags: 1, // bit 0: the logits held a NaN or an infinity
  logprob: 2, // f32; natural log-probability under the raw logits
  size: 4,
} as const;

/** Where each array starts, in 4-byte words. A pure function of the limits, computed alike in TypeScript and passed to native. */
export interface StepLayout {
  readonly limits: StepLimits;
  readonly pagesPerSlot: number;
  readonly header: number;
  /** i32[maxRows]: token id of each row; -1 - i takes feature row i in its place. */
  readonly tokens: number;
  /** i32[3][maxRows]: positions on the T, H and W axes; text uses the first only. */
  readonly positions: number;
  /** i32[maxSequences] each: slot, first row, number of rows, cache length after this step's rows are appended. */
  readonly sequenceSlot: number;
  readonly sequenceRow: number;
  readonly sequenceRows: number;
  readonly sequenceLength: number;
  /** i32[maxSampled] each: row to sample, slot it belongs to, how many tokens that slot has sampled before (the random counter). */
  readonly sampleRow: number;
  readonly sampleSlot: number;
  readonly sampleCounter: number;
  /** i32[maxSequences][pagesPerSlot]: page ids of each slot. */
  readonly pageTable: number;
  /** [maxSequences][sampling.size] */
  readonly sampling: number;
  /** i32[maxSequences][maxContext]: prompt and output tokens, for penalties. */
  readonly history: number;
  /** i32[maxCopies][2]: from which state to which, in order; a slot's own state, then snapshots from maxSequences on. */
  readonly stateCopies: number;
  /** i32 and f32 [maxSequences][maxBias] */
  readonly biasToken: number;
  readonly biasValue: number;
  /** [maxSampled][sampled.size] */
  readonly output: number;
  /** i32 and f32 [maxSampled][maxTopLogprobs], best first. */
  readonly topToken: number;
  readonly topLogprob: number;
  /** f32[maxSampled][vocab] when exposeLogits, else empty. */
  readonly logits: number;
  /** i32[patchPlace.size][maxPatches] */
  readonly patches: number;
  /** f32[maxPatches][patchWidth] */
  readonly pixels: number;
  /** f32[maxFeatures][featureWidth]: what a vision step answers, and what a text step takes for tokens below zero. */
  readonly features: number;
  /** i32[maxSampled]: 1 where only the tokens of the row's mask may be chosen, else 0. */
  readonly sampleMasked: number;
  /** i32[maxSampled][maskWords(vocab)]: bit t % 32 of word t / 32 allows token t. Not read for rows that are not masked. */
  readonly masks: number;
  /** Words in all. */
  readonly size: number;
}

/** Array starts in the order that native code reads them. */
export const layoutFields = [
  'header',
  'tokens',
  'positions',
  'sequenceSlot',
  'sequenceRow',
  'sequenceRows',
  'sequenceLength',
  'sampleRow',
  'sampleSlot',
  'sampleCounter',
  'pageTable',
  'sampling',
  'history',
  'biasToken',
  'biasValue',
  'output',
  'topToken',
  'topLogprob',
  'logits',
  'patches',
  'pixels',
  'features',
  'stateCopies',
  'sampleMasked',
  'masks',
] as const satisfies readonly (keyof StepLayout)[];

/** Words of one row's token mask. */
export const maskWords = (vocab: number): number => Math.ceil(vocab / 32);

/** The limits of a step without vision. */
export const noVision: VisionLimits = { maxPatches: 0, patchWidth: 0, maxFeatures: 0, featureWidth: 0 };

/** Most rows of each kind that a step has. */
export function mostRowsOf(
  limits: Pick<StepLimits, 'maxRows' | 'maxSampled' | 'vision'>,
): Readonly<Record<RowSymbol, number>> {
  const { maxPatches, maxFeatures } = limits.vision ?? noVision;
  return { rows: limits.maxRows, sampled: limits.maxSampled, patches: maxPatches, features: maxFeatures };
}

/** Recurrent states of a model: one for each slot, then the snapshots. */
export const stateCount = ({ maxSequences, snapshots = 0 }: Pick<StepLimits, 'maxSequences' | 'snapshots'>): number =>
  maxSequences + snapshots;

/** Every sequence of a step may leave its state as a snapshot, and another may begin with one in its place. */
export const maxCopies = ({ maxSequences, snapshots = 0 }: Pick<StepLimits, 'maxSequences' | 'snapshots'>): number =>
  snapshots > 0 ? 2 * maxSequences : 0;

/** Lays the arrays out one after another, each at a multiple of 16 words (one cache line). */
export function layoutStep(limits: StepLimits): StepLayout {
  const pagesPerSlot = Math.ceil(limits.maxContext / 64);
  const { maxRows, maxSequences, maxSampled } = limits;
  const { maxPatches, patchWidth, maxFeatures, featureWidth } = limits.vision ?? noVision;
  const lengths: Record<(typeof layoutFields)[number], number> = {
    header: header.size,
    tokens: maxRows,
    positions: 3 * maxRows,
    sequenceSlot: maxSequences,
    sequenceRow: maxSequences,
    sequenceRows: maxSequences,
    sequenceLength: maxSequences,
    sampleRow: maxSampled,
    sampleSlot: maxSampled,
    sampleCounter: maxSampled,
    pageTable: maxSequences * pagesPerSlot,
    sampling: maxSequences * sampling.size,
    history: maxSequences * limits.maxContext,
    biasToken: maxSequences * limits.maxBias,
    biasValue: maxSequences * limits.maxBias,
    output: maxSampled * sampled.size,
    topToken: maxSampled * limits.maxTopLogprobs,
    topLogprob: maxSampled * limits.maxTopLogprobs,
    logits: limits.exposeLogits ? maxSampled * limits.vocab : 0,
    patches: patchPlace.size * maxPatches,
    pixels: maxPatches * patchWidth,
    features: maxFeatures * featureWidth,
    stateCopies: 2 * maxCopies(limits),
    sampleMasked: maxSampled,
    masks: maxSampled * maskWords(limits.vocab),
  };
  const starts = {} as Record<(typeof layoutFields)[number], number>;
  let next = 0;
  for (const field of layoutFields) {
    starts[field] = next;
    next += Math.ceil(lengths[field] / 16) * 16;
  }
  return { limits, pagesPerSlot, ...starts, size: next };
}
