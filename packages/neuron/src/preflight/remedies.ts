import { CortexError, type QuantFormat } from '@helexa/core';
import { type PlanOptions, planModel } from '../model/loader.js';
import type { RepositoryFile } from '../sources/repository-file.js';
import type { Classification } from './classify.js';

/** Ranks that are tried when a model does not fit on those asked for. */
const triedRanks = [2, 3, 4, 6, 8, 16];
/** Quantisations that are tried, those of most bits first. */
const triedQuants: readonly QuantFormat[] = ['Q8_0', 'Q6_K', 'Q5_K', 'Q4_K', 'Q4_0'];

export interface RemedyOptions {
  readonly plan: PlanOptions;
  readonly classification: Classification;
  /** Files of the repository with their lengths. */
  readonly files: readonly RepositoryFile[];
}

/** What would make a model fit that does not: more devices, or weights of fewer bits. Each is planned before it is said. */
export async function findRemedies(options: RemedyOptions): Promise<string[]> {
  return [...(await moreRanks(options.plan)), ...(await fewerBits(options))];
}

/** More devices like the ones given; ranks that share one device's memory gain nothing. */
async function moreRanks(plan: PlanOptions): Promise<string[]> {
  const { ranks = 1 } = plan;
  const found = await plan.backend.discover();
  const each = plan.deviceMemory ? Math.min(...plan.deviceMemory) : found.length > ranks ? found[0]!.freeBytes : 0;
  if (each === 0) return [];
  for (const count of triedRanks.filter((tried) => tried > ranks)) {
    const deviceMemory = Array.from({ length: count }, () => each);
    if (await canPlan({ ...plan, ranks: count, deviceMemory }))
      return [`Use --tp ${count}, on devices with ${gibibytes(each)} each`];
  }
  return [];
}

/** A smaller file of the same repository, or weights that are quantised as they are loaded. */
async function fewerBits({ plan, classification, files }: RemedyOptions): Promise<string[]> {
  const { checkpoint, quant = null } = plan;
  if (checkpoint?.kind !== 'gguf') {
    const smaller = triedQuants.slice(quant === null ? 0 : triedQuants.indexOf(quant) + 1);
    for (const wanted of smaller)
      if (await canPlan({ ...plan, quant: wanted })) return [`Use --quant ${wanted.toLowerCase()}`];
    return [];
  }
  const bytesOf = (names: readonly string[]) =>
    files.reduce((sum, file) => sum + (names.includes(file.name) ? (file.bytes ?? 0) : 0), 0);
  const used = bytesOf(classification.ggufs.find(({ parts }) => checkpoint.path.endsWith(parts[0]!))?.parts ?? []);
  const [smallest] = classification.ggufs
    .map(({ file, parts }) => ({ file, bytes: bytesOf(parts) }))
    .filter(({ bytes }) => bytes > 0 && bytes < used)
    .toSorted((one, other) => one.bytes - other.bytes);
  return smallest ? [`Try '${smallest.file}' of the same repository, the smallest: ${gibibytes(smallest.bytes)}`] : [];
}

async function canPlan(plan: PlanOptions): Promise<boolean> {
  try {
    await planModel(plan);
    return true;
  } catch (error) {
    // Whatever refuses it, it is no remedy.
    if (CortexError.isInstance(error) && error.status === 422) return false;
    throw error;
  }
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 2 : 1)} GiB`;
