import { CortexError, type NeuronConfig, systemClock } from '@helexa/core';
import { ModelSources } from '@helexa/neuron';
import { type FoundModel, findModel } from './find-model.js';
import { stderrLogger } from './logger.js';

/** A model of this machine, or one that a registry may have; its id is canonical. */
export type NamedModel =
  | (FoundModel & { readonly isRemote: false })
  | { readonly isRemote: true; readonly id: string; readonly configured: string };

/** The sources of a configuration, for one command. Owner: the command. */
export const openSources = (config: NeuronConfig): Promise<ModelSources> =>
  ModelSources.open({
    hub: config.hub,
    clock: systemClock,
    log: stderrLogger('cortex', config.log.level),
    random: Math.random,
  });

/** Finds what a person means by MODEL: something on this machine, else a repository of a registry. */
export async function resolveModel(
  model: string | undefined,
  config: NeuronConfig,
  sources: ModelSources,
): Promise<NamedModel> {
  try {
    return { ...(await findModel(model, config.models_dir)), isRemote: false };
  } catch (error) {
    if (!CortexError.isInstance(error) || error.code !== 'model_not_found' || model === undefined) throw error;
    const id = await sources.find(model);
    if (id === null) throw error;
    return { isRemote: true, id, configured: id };
  }
}
