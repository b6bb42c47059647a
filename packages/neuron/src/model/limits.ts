import { CortexError } from '@helexa/core';
import { type MemoryPlan, type ModelFacts, pageTokens, type StepLimits, type VisionLimits } from '@helexa/graph';
import type { VisionChoice } from '../vision/choose-vision.js';
import type { ImageParameters } from '../vision/image-parameters.js';

/** What the operator may ask for; absent is decided here. */
export interface RequestedLimits {
  readonly maxRows?: number | undefined;
  readonly maxSequences?: number | undefined;
  readonly maxSampled?: number | undefined;
  readonly maxContext?: number | undefined;
  readonly pages?: number | undefined;
  readonly maxTopLogprobs?: number | undefined;
  readonly maxBias?: number | undefined;
  readonly exposeLogits?: boolean | undefined;
  /** Recurrent states kept beside those of running sequences, where a model has such state. */
  readonly snapshots?: number | undefined;
  /** Largest area of an image; 0: images are not served. */
  readonly maxImagePixels?: number | undefined;
}

export interface DecidedLimits {
  readonly limits: StepLimits;
  /** One sentence for each thing that is less than the model or the operator would have. */
  readonly notes: readonly string[];
}

/** Kept free for the rest of the process. */
const headroom = (availableBytes: number): number => Math.max(128 * 2 ** 20, availableBytes / 16);

/** The limits that follow from the model and the request alone: a pool of one full context per sequence. */
export function draftLimits(
  facts: ModelFacts,
  requested: RequestedLimits,
  { images, notes }: VisionChoice = { images: null, notes: [] },
): DecidedLimits {
  const maxRows = requested.maxRows ?? 512;
  const maxSequences = Math.min(requested.maxSequences ?? 8, maxRows);
  const maxContext = Math.min(requested.maxContext ?? facts.maxContext, facts.maxContext);
  const isRecurrent = facts.state.some((layer) => layer.kind === 'recurrent');
  const snapshots = isRecurrent ? (requested.snapshots ?? maxSequences) : 0;
  const isShortened = requested.maxContext !== undefined && requested.maxContext > facts.maxContext;
  return {
    limits: {
      maxRows,
      maxSequences,
      maxSampled: Math.max(requested.maxSampled ?? 0, maxSequences),
      maxContext,
      pages: requested.pages ?? Math.ceil(maxContext / pageTokens) * maxSequences,
      vocab: facts.vocab,
      maxBias: requested.maxBias ?? 300,
      maxTopLogprobs: requested.maxTopLogprobs ?? 20,
      exposeLogits: requested.exposeLogits ?? false,
      ...(snapshots > 0 ? { snapshots } : {}),
      ...(images ? { vision: visionLimits(images, maxRows) } : {}),
    },
    notes: [...(isShortened ? [`The context is ${maxContext} tokens: the model was made for no more`] : []), ...notes],
  };
}

/** One image a step; a text step may take features for all of its rows. */
function visionLimits({ facts, maxPixels }: ImageParameters, maxRows: number): VisionLimits {
  const { patchSize, temporalPatchSize, channels, merge, featureWidth } = facts;
  const blocks = Math.floor(maxPixels / (patchSize * merge) ** 2);
  return {
    maxPatches: blocks * merge ** 2,
    patchWidth: channels * temporalPatchSize * patchSize ** 2,
    maxFeatures: Math.max(blocks, maxRows),
    featureWidth,
  };
}

/**
 * Fits drafted limits into the memory there is: at least one full context when it fits, else a shorter one, and says so.
 * Beyond one context, and unless pages were asked for, the pool takes at most half of what is left, so that other models
 * find room. `availableBytes` 0 means unknown.
 */
export function fitLimits(
  draft: DecidedLimits,
  plan: MemoryPlan,
  availableBytes: number,
  requested: RequestedLimits,
): DecidedLimits {
  const { limits } = draft;
  const notes = [...draft.notes];
  const sum = (pick: (rank: MemoryPlan['ranks'][number]) => number) =>
    plan.ranks.reduce((total, rank) => total + pick(rank), 0);
  const pageBytes = pageTokens * sum((rank) => rank.kvBytesPerToken);
  const fixedBytes = sum((rank) => rank.totalBytes - rank.kvBytes);
  const isBounded = availableBytes > 0 && pageBytes > 0;
  const left = availableBytes - headroom(availableBytes) - fixedBytes;
  const affordable = isBounded ? Math.max(0, Math.floor(left / pageBytes)) : limits.pages;
  const perContext = Math.ceil(limits.maxContext / pageTokens);
  const polite = Math.max(perContext, Math.floor(affordable / 2));

  let { pages, maxContext } = limits;
  if (isBounded && requested.pages === undefined) pages = Math.min(pages, polite);
  if (pages > affordable) {
    notes.push(`The cache has ${affordable} pages instead of ${pages}: memory allows no more`);
    pages = affordable;
  }
  if (pages < 1) {
    throw new CortexError('model_does_not_fit', {
      what: 'the model with one page of its key-value cache',
      wantBytes: Math.ceil(fixedBytes + pageBytes + headroom(availableBytes)),
      haveBytes: availableBytes,
    });
  }
  if (pages < perContext) {
    notes.push(`The context is ${pages * pageTokens} tokens instead of ${maxContext}: the cache holds no more`);
    maxContext = pages * pageTokens;
  }
  return { limits: { ...limits, pages, maxContext }, notes };
}

/** Memory that some ranks share: one device, as a rule. */
export interface RankGroup {
  readonly ranks: readonly number[];
  /** 0 means unknown. */
  readonly freeBytes: number;
}

/** Fits drafted limits into every device on its own: the tightest decides for all, since every rank holds the same pages. */
export function fitDevices(
  draft: DecidedLimits,
  plan: MemoryPlan,
  groups: readonly RankGroup[],
  requested: RequestedLimits,
): DecidedLimits {
  return groups
    .map(({ ranks, freeBytes }) =>
      fitLimits(draft, { ranks: plan.ranks.filter((_, rank) => ranks.includes(rank)) }, freeBytes, requested),
    )
    .reduce((tightest, each) => (each.limits.pages < tightest.limits.pages ? each : tightest));
}

/** Whether one sequence of so many tokens finds room on every device; a device of unknown memory has room. */
export function fitsContext(plan: MemoryPlan, groups: readonly RankGroup[], tokens: number): boolean {
  return groups.every(({ ranks, freeBytes }) => {
    const wanted = ranks
      .map((rank) => plan.ranks[rank]!)
      .reduce(
        (sum, rank) =>
          sum + rank.totalBytes - rank.kvBytes + Math.ceil(tokens / pageTokens) * pageTokens * rank.kvBytesPerToken,
        0,
      );
    return freeBytes === 0 || wanted + headroom(freeBytes) <= freeBytes;
  });
}
