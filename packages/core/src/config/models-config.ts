import { z } from 'zod';
import { modelLimit } from '../wire/openai-models.js';
import { type LoadedConfig, loadConfig } from './load-config.js';

const dollars = z.number().min(0);

/** Dollars for a million tokens; absent is not priced, zero is deliberately free. */
const costSchema = z.strictObject({
  input: dollars.default(0),
  output: dollars.default(0),
  cache_read: dollars.optional(),
  cache_write: dollars.optional(),
});

const catalogueEntry = z.strictObject({
  /** Id of the model, at the neurons and on the wire; `scheme:org/name` names a registry. */
  id: z.string().min(1),
  /** Registry that neurons load it from: the scheme before the colon of an id. Leave it out for the neurons' default one. */
  source: z
    .string()
    .regex(/^[a-z][a-z0-9-]{1,30}$/, { error: 'a word of 2 to 31 small letters, digits and dashes is wanted' })
    .optional(),
  /** What runs the model at a neuron; there is one. */
  harness: z.literal('cortex').optional(),
  /** Quantisation that a neuron is asked for. */
  quant: z.string().min(1).optional(),
  /** Memory that the model takes on all its devices together. */
  vram_mb: z.int().min(1).optional(),
  /** Devices that the model is divided over. */
  min_devices: z.int().min(1).max(64).default(1),
  /** Memory that each of those devices must have in all. */
  min_device_vram_mb: z.int().min(1).optional(),
  /** Neurons that may hold the model; all when empty. */
  pinned_on: z.array(z.string().min(1)).default([]),
  /** A model displaces those of the same number or a lower one; 100 when absent, 1000 when `pinned_on` names a neuron. */
  residency_priority: z.int().min(0).optional(),
  /** Unloaded after so long without a request, instead of what `eviction.idle_ttl_ms` says; never when 0. */
  idle_ttl_ms: z.int().min(0).max(2_147_483_647).optional(),
  /** Shown while no neuron reports the model's own limit. */
  limit: modelLimit.strict().optional(),
  cost: costSchema.optional(),
  /** Shown while no neuron reports the model's own. */
  capabilities: z.array(z.string().min(1)).default([]),
});

/** `models.toml`: the models that the gateway may load, and other names for models. */
export const modelsConfigSchema = z
  .strictObject({
    models: z.array(catalogueEntry).default([]),
    /** Other names of models: one step, never to another alias. */
    aliases: z.record(z.string().min(1), z.string().min(1)).default({}),
  })
  .superRefine(({ models, aliases }, context) => {
    const ids = new Set<string>();
    models.forEach(({ id, source }, index) => {
      if (source !== undefined && id.includes(':')) {
        const message = `'${id}' names a source already; an id without one is wanted`;
        context.addIssue({ code: 'custom', path: ['models', index, 'source'], message });
      }
      if (ids.has(id)) {
        context.addIssue({ code: 'custom', path: ['models', index, 'id'], message: `a second entry for '${id}'` });
      }
      ids.add(id);
    });
    for (const [alias, target] of Object.entries(aliases)) {
      const message = ids.has(alias)
        ? 'it is also the id of a model'
        : Object.hasOwn(aliases, target)
          ? `'${target}' is an alias itself; the id of a model is wanted`
          : undefined;
      if (message !== undefined) context.addIssue({ code: 'custom', path: ['aliases', alias], message });
    }
  });

export type ModelsConfig = z.output<typeof modelsConfigSchema>;
export type CatalogueEntry = ModelsConfig['models'][number];

/** Reads a model catalogue; the environment has no say in it. */
export const loadModelsConfig = (file: string): Promise<LoadedConfig<ModelsConfig>> =>
  loadConfig({ schema: modelsConfigSchema, name: 'models', envPrefix: 'MODELS_', file, env: {} });
