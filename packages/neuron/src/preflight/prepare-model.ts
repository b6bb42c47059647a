import { openCheckpointIn, type QuantFormat } from '@helexa/core';
import type { Logger } from 'pino';
import type { PlanOptions } from '../model/loader.js';
import type { OpenHooks } from '../model/model-state.js';
import type { ModelSources } from '../sources/model-sources.js';
import { chooseModel, type ModelReference, quantToMake } from './choose-model.js';
import { planOrRemedies } from './preflight.js';
import { weightFiles } from './weight-files.js';

export interface PrepareOptions {
  readonly reference: ModelReference;
  readonly quant: string | null;
  /** How the model will be loaded. */
  readonly plan: Omit<PlanOptions, 'path' | 'checkpoint'>;
  readonly sources: ModelSources;
  readonly log: Logger;
  readonly hooks: Pick<OpenHooks, 'onPhase' | 'onProgress' | 'signal'>;
}

/** A model whose files are here. */
export interface PreparedModel {
  /** What a loader opens. */
  readonly path: string;
  /** What is left for the loader to make; null when the files are as they were asked for. */
  readonly quant: QuantFormat | null;
}

/**
 * The check before every load, then what the load needs: chooses the weights, and for a model of a registry plans it from its
 * headers before a byte of its weights is downloaded.
 */
export async function prepareModel(options: PrepareOptions): Promise<PreparedModel> {
  const { reference, quant, plan, sources, log } = options;
  const { onPhase, onProgress, signal } = options.hooks;
  const chosen = await chooseModel(reference, quant, sources, signal);
  for (const note of chosen.notes) log.info({ model: chosen.id }, note);
  const { path, folder, gguf, repository } = chosen;
  const prepared = { path, quant: quantToMake(chosen, quant) };
  if (!repository) return prepared;
  const checkpoint = await openCheckpointIn(folder, gguf);
  await planOrRemedies({ ...plan, path, checkpoint, quant: prepared.quant }, chosen);
  onPhase('downloading');
  await sources.fetch(repository, weightFiles(checkpoint), { onProgress, signal });
  log.info({ model: chosen.id, commit: repository.commit, from: repository.from }, 'the files of the model are here');
  return prepared;
}
