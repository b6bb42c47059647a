import type { CatalogueEntry, ModelEntry, ModelLimit, ModelList, NeuronModel } from '@helexa/core';
import type { Catalogue } from '../catalogue/catalogue.js';
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

/** What the list is made of. */
export interface ListOptions {
  readonly catalogue: Catalogue;
  /** Nodes that could hold a model of the catalogue. */
  readonly feasibleOn: (entry: CatalogueEntry) => readonly string[];
  /** Loads that the gateway has asked for. */
  readonly jobs: readonly { readonly node: string; readonly model: string | undefined }[];
  readonly createdSeconds: number;
}

type Location = NonNullable<ModelEntry['locations']>[number];

const describeModel = (fleet: Fleet, id: string, options: ListOptions): ModelEntry => {
  const entry = options.catalogue.entries.get(id);
  const found = fleet.flatMap((node) =>
    node.models.filter((model) => model.id === id).map((model) => ({ node, model })),
  );
  const models = found.map(({ model }) => model);
  const discovered = [...new Set(models.flatMap((model) => model.capabilities ?? []))].sort();
  const capabilities = discovered.length > 0 ? discovered : (entry?.capabilities ?? []);
  const limit = tightest(models.map((model) => model.limit)) ?? entry?.limit;
  const locations = found.map(({ node, model }): Location => {
    const status = node.healthy ? model.status : 'unreachable';
    const estimate = model.vram_used_mb ?? entry?.vram_mb ?? null;
    const progress = model.progress ? { progress: model.progress } : {};
    return { node: node.name, status, vram_estimate_mb: estimate, ...progress };
  });
  const isLoading = (node: string): boolean => options.jobs.some((job) => job.node === node && job.model === id);
  const known = locations.map((each) =>
    isLoading(each.node) && each.status !== 'loaded' ? { ...each, status: 'loading' } : each,
  );
  const fresh = options.jobs
    .filter((job) => job.model === id && !locations.some(({ node }) => node === job.node))
    .map(({ node }): Location => ({ node, status: 'loading', vram_estimate_mb: entry?.vram_mb ?? null }));
  return {
    id,
    object: 'model',
    created: options.createdSeconds,
    owned_by: 'helexa',
    loaded: found.some(({ node, model }) => node.healthy && model.status === 'loaded'),
    feasible_on: entry ? [...options.feasibleOn(entry)] : [],
    locations: [...known, ...fresh],
    ...(capabilities.length > 0 ? { capabilities: [...capabilities] } : {}),
    ...(entry?.cost ? { cost: entry.cost } : {}),
    ...isAny(models, 'tool_call'),
    ...isAny(models, 'reasoning'),
    ...flatLimit(limit),
  };
};

/** The models of the catalogue and of all nodes as one list, by id; reading it changes nothing anywhere. */
export const listModels = (fleet: Fleet, options: ListOptions): ModelList => {
  const { entries, aliases } = options.catalogue;
  const ids = new Set([...entries.keys(), ...fleet.flatMap(({ models }) => models.map(({ id }) => id))]);
  const data = [...ids].map((id) => describeModel(fleet, id, options));
  const byId = new Map(data.map((entry) => [entry.id, entry]));
  for (const [alias, target] of aliases) {
    const entry = byId.get(target);
    // A name that stands for nothing is not offered; a model's own name goes before an alias.
    if (entry && !ids.has(alias)) data.push({ ...entry, id: alias });
  }
  return { object: 'list', data: data.sort((a, b) => (a.id < b.id ? -1 : 1)) };
};
