import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type CheckpointFolder, CortexError, diskFolder, parseQuant, type QuantFormat } from '@helexa/core';
import type { ModelSources } from '../sources/model-sources.js';
import { type Repository, repositoryFolder } from '../sources/repository.js';
import { chooseWeights } from './choose-weights.js';
import { type Classification, classifyRepository } from './classify.js';

/** What was asked for: a folder or file of this machine, or a repository of a registry. */
export type ModelReference =
  | { readonly kind: 'disk'; readonly id: string; readonly path: string }
  | { readonly kind: 'registry'; readonly id: string };

/** A model whose weights are chosen; nothing but names has been read. */
export interface ChosenModel {
  readonly id: string;
  readonly folder: CheckpointFolder;
  /** File that is opened; absent: the safetensors of the folder. */
  readonly gguf?: string;
  /** What a loader opens, once it is here. */
  readonly path: string;
  readonly classification: Classification;
  /** Null for a model of this machine's disk. */
  readonly repository: Repository | null;
  /** Sentences on what was decided. */
  readonly notes: readonly string[];
}

/** Finds a model's files and chooses its weights, from one listing. */
export async function chooseModel(
  reference: ModelReference,
  quant: string | null,
  sources: ModelSources,
  signal?: AbortSignal,
): Promise<ChosenModel> {
  if (reference.kind === 'disk') return await chooseOnDisk(reference.id, reference.path, quant);
  const repository = await sources.repository(reference.id, signal);
  return choose(repository.id, repositoryFolder(repository, signal), quant, repository);
}

/** What a loader has to make of the chosen weights: a GGUF file that was chosen by its name has its formats already. */
export const quantToMake = ({ gguf }: ChosenModel, quant: string | null): QuantFormat | null =>
  gguf !== undefined || quant === null ? null : parseQuant(quant);

/** The same for a folder, or one `.gguf` file, of this machine. */
export async function chooseOnDisk(id: string, path: string, quant: string | null): Promise<ChosenModel> {
  const stats = await stat(path).catch((error: unknown) => {
    throw new CortexError('checkpoint_missing', { path, reason: 'it cannot be looked up' }, { cause: error });
  });
  if (stats.isDirectory()) return choose(id, await diskFolder(path), quant, null);
  const gguf = basename(path);
  const classification = classifyRepository([gguf]);
  if (quant !== null) chooseWeights(id, classification, quant);
  return { id, folder: await diskFolder(dirname(path)), gguf, path, classification, repository: null, notes: [] };
}

function choose(
  id: string,
  folder: CheckpointFolder,
  quant: string | null,
  repository: Repository | null,
): ChosenModel {
  const classification = classifyRepository(folder.names);
  const chosen = chooseWeights(id, classification, quant);
  const shared = { id, folder, classification, repository };
  if (chosen.kind === 'safetensors') {
    const isMixed = classification.format === 'mixed';
    const notes = isMixed ? ['The repository has GGUF files too; its safetensors are used'] : [];
    return { ...shared, path: folder.path, notes };
  }
  const { file, parts } = chosen.model;
  const notes = [
    ...(chosen.isDefault ? [`'${file}' is used of ${classification.ggufs.length} GGUF models, as none was named`] : []),
    ...(parts.length > 1 ? [`'${file}' is the first of ${parts.length} parts`] : []),
  ];
  return { ...shared, gguf: file, path: join(folder.path, file), notes };
}
