import { CortexError } from '@helexa/core';
import type { ModelSources } from '../sources/model-sources.js';
import { locateConfigured, locateModel } from './model-locator.js';

/** Where a model lies, or that it comes from a registry. */
export interface ResolvedModel {
  /** The one spelling of its id. */
  readonly id: string;
  /** Folder or file; for a model of a registry its id. */
  readonly path: string;
  readonly isRemote: boolean;
}

/** Finds the model that a request names: below the models folders, else in a registry. */
export const resolveModel = (id: string, folders: readonly string[], sources: ModelSources): Promise<ResolvedModel> =>
  orRemote(id, sources, () => locateModel(id, folders));

/** Finds the model that the configuration names, which may be an absolute path. */
export const resolveConfigured = (
  id: string,
  folders: readonly string[],
  sources: ModelSources,
): Promise<ResolvedModel> => orRemote(id, sources, () => locateConfigured(id, folders));

async function orRemote(
  id: string,
  sources: ModelSources,
  locate: () => Promise<{ readonly id: string; readonly path: string }>,
): Promise<ResolvedModel> {
  try {
    return { ...(await locate()), isRemote: false };
  } catch (error) {
    if (!CortexError.isInstance(error) || error.code !== 'model_not_found') throw error;
    const remote = await sources.find(id);
    if (remote === null) throw error;
    return { id: remote, path: remote, isRemote: true };
  }
}
