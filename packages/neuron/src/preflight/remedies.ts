import { blockOf, CortexError, type WeightFormat } from '@helexa/core';
import { type PlannedModel, type PlanOptions, planModel } from '../model/loader.js';
import type { RepositoryFile } from '../sources/repository-file.js';
import type { Classification } from './classify.js';

/** Ranks that are tried when a model does not fit on those asked for. */
const triedRanks = [2, 3, 4, 6, 8, 16];
/** Quantisations that a person finds releases of, largest first. */
const triedFormats: readonly WeightFormat[] = ['Q8_0', 'Q6_K', 'Q5_K', 'Q4_K'];

export interface RemedyOptions {
  readonly plan: PlanOptions;
  readonly classification: Classification;
  /** Files of the repository with their lengths. */
  readonly files: readonly RepositoryFile[];
}

/** What would make a model fit that does not: other ranks, or weights of fewer bits. Each is checked before it is said. */
export async function findRemedies(options: RemedyOptions): Promise<string[]> {
  const { plan } = options;
  const { ranks = 1 } = plan;
  const unbounded = await planModel({ ...plan, deviceMemory: Array.from({ length: ranks }, () => 0) });
  const budget = await budgetOf(plan, unbounded);
  return [...(await moreRanks(plan, ranks)), ...fewerBits(options, unbounded, budget)];
}

/** More devices like the ones given; ranks that share one device's memory gain nothing. */
async function moreRanks(plan: PlanOptions, ranks: number): Promise<string[]> {
  const found = await plan.backend.discover();
  const each = plan.deviceMemory ? Math.min(...plan.deviceMemory) : found.length > ranks ? found[0]!.freeBytes : 0;
  if (each === 0) return [];
  for (const count of triedRanks.filter((tried) => tried > ranks)) {
    const deviceMemory = Array.from({ length: count }, () => each);
    try {
      await planModel({ ...plan, ranks: count, deviceMemory });
    } catch (error) {
      if (CortexError.isInstance(error) && ['cannot_shard', 'model_does_not_fit'].includes(error.code)) continue;
      throw error;
    }
    return [`Use --tp ${count}, on devices with ${gibibytes(each)} each`];
  }
  return [];
}

/** Bytes that the weights may take in all. */
async function budgetOf(plan: PlanOptions, planned: PlannedModel): Promise<number> {
  try {
    await planModel(plan);
    return Number.POSITIVE_INFINITY;
  } catch (error) {
    if (!CortexError.isInstance(error) || error.code !== 'model_does_not_fit') throw error;
    const { wantBytes, haveBytes } = error.details as { wantBytes: number; haveBytes: number };
    const ranks = planned.compiled.plan.ranks;
    const weightBytes = ranks.reduce((sum, rank) => sum + rank.weightBytes, 0);
    // The failing device's shortfall, as if every device had it: a remedy must not promise too much.
    return weightBytes - (wantBytes - haveBytes) * (plan.deviceMemory ? ranks.length : 1);
  }
}

function fewerBits({ classification, files }: RemedyOptions, planned: PlannedModel, budget: number): string[] {
  if (planned.checkpoint.kind === 'gguf') {
    const smaller = classification.ggufs
      .map(({ file, parts }) => ({
        file,
        bytes: files.reduce((sum, each) => sum + (parts.includes(each.name) ? (each.bytes ?? 0) : 0), 0),
      }))
      .filter(({ bytes }) => bytes > 0 && bytes <= budget)
      .toSorted((a, b) => b.bytes - a.bytes)[0];
    return smaller ? [`Take '${smaller.file}' of the same repository: ${gibibytes(smaller.bytes)}`] : [];
  }
  const matrices = planned.compiled.programs.flatMap(({ tensors }) => tensors);
  for (const format of triedFormats) {
    const bytes = matrices.reduce((sum, { format: stored, rows, cols }) => {
      const bytesAs = (each: WeightFormat) => (rows * cols * blockOf[each].bytes) / blockOf[each].elements;
      return (
        sum +
        Math.min(bytesAs(stored), stored === 'F32' || cols % 256 !== 0 ? Number.POSITIVE_INFINITY : bytesAs(format))
      );
    }, 0);
    if (bytes <= budget) return [`Use weights in ${format}: about ${gibibytes(bytes)}`];
  }
  return [];
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 2 : 1)} GiB`;
