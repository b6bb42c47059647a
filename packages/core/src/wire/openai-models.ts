/** Model list: OpenAI's four fields, and what clients of other servers look for. */
import { z } from 'zod';

/** Where a model is in its life on one node. */
export const modelStatus = z.enum([
  'loaded',
  'loading',
  'recovering',
  'reloading',
  'unloading',
  'unloaded',
  'poisoned',
  'failed',
]);

export const modelLimit = z.object({ context: z.int(), input: z.int().optional(), output: z.int().optional() });

/** How far a load is, in the phase that it is in. */
export const loadProgress = z.looseObject({
  phase: z.string().optional(),
  bytes: z.number(),
  /** 0: not known. */
  total_bytes: z.number(),
  bytes_per_second: z.number().nullish(),
  eta_seconds: z.number().nullish(),
});

export const modelEntry = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  loaded: z.boolean().optional(),
  feasible_on: z.array(z.string()).optional(),
  locations: z
    .array(
      z.object({
        node: z.string(),
        status: z.string(),
        vram_estimate_mb: z.number().nullable(),
        progress: loadProgress.optional(),
      }),
    )
    .optional(),
  capabilities: z.array(z.string()).optional(),
  limit: modelLimit.optional(),
  /** Dollars for a million tokens; absent is not priced. */
  cost: z.looseObject({ input: z.number(), output: z.number() }).optional(),
  tool_call: z.boolean().optional(),
  reasoning: z.boolean().optional(),
  max_model_len: z.int().optional(),
  max_input_tokens: z.int().optional(),
  max_output_tokens: z.int().optional(),
});

export const modelList = z.object({ object: z.literal('list'), data: z.array(modelEntry) });

export type ModelStatus = z.output<typeof modelStatus>;
export type ModelLimit = z.output<typeof modelLimit>;
export type ModelEntry = z.output<typeof modelEntry>;
export type ModelList = z.output<typeof modelList>;
