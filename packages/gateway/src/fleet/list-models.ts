import type { ModelEntry, ModelLimit, ModelList, NeuronModel } from '@helexa/core';
import type { Fleet } from './fleet.js';

/** The smallest context wins: a request may land on any replica. */
const tightest = (limits: readonly (ModelLimit | undefined)[]): ModelLimit | undefined =>
  limits.reduce((best, limit) => (limit && (!best || limit.context < best.context) ? limit : best), undefined);

/** The same numbers under the names that clients of other servers read. */
const flatLimit = (limit: ModelLimit | undefined): Partial<ModelEntry> =>
  limit === undefined
    ? {}
    : {
        limit,
        max_model_len: limit.context,
        ...(limit.input === undefined ? {} : { max_input_tokens: limit.input }),
        ...(limit.output === undefined ? {} : { max_output_tokens: limit.output }),
      };

const isAny = (models: readonly NeuronModel[], key: 'tool_call' | 'reasoning'): Partial<ModelEntry> => {
  const known = models.filter((model) => model[key] !== undefined);
  return known.length === 0 ? {} : { [key]: known.some((model) => model[key]) };
};

/** The models of all nodes as one list, by id; reading it changes nothing anywhere. */
export const listModels = (fleet: Fleet, createdSeconds: number): ModelList => {
  const ids = [...new Set(fleet.flatMap(({ models }) => models.map(({ id }) => id)))].sort();
  const data = ids.map((id): ModelEntry => {
    const found = fleet.flatMap((node) =>
      node.models.filter((model) => model.id === id).map((model) => ({ node, model })),
    );
    const models = found.map(({ model }) => model);
    const capabilities = [...new Set(models.flatMap((model) => model.capabilities ?? []))].sort();
    return {
      id,
      object: 'model',
      created: createdSeconds,
      owned_by: 'helexa',
      loaded: found.some(({ node, model }) => node.healthy && model.status === 'loaded'),
      feasible_on: [],
      locations: found.map(({ node, model }) => ({
        node: node.name,
        status: node.healthy ? model.status : 'unreachable',
        vram_estimate_mb: model.vram_used_mb ?? null,
      })),
      ...(capabilities.length > 0 ? { capabilities } : {}),
      ...isAny(models, 'tool_call'),
      ...isAny(models, 'reasoning'),
      ...flatLimit(tightest(models.map(({ limit }) => limit))),
    };
  });
  return { object: 'list', data };
};
