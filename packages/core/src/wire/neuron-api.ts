/**
 * What a neuron says about itself to a gateway. Every field that is not essential is optional: gateway and neuron may be
 * of different versions.
 */
import { z } from 'zod';
import { chatCompletionRequest } from './openai-chat.js';
import { tokenIds } from './openai-completions.js';
import { loadProgress, modelLimit } from './openai-models.js';

/** One row of `GET /models`: a model that the neuron holds, or has on disk. */
export const neuronModel = z.object({
  id: z.string().min(1),
  /** Text, not an enumeration: a newer neuron may know more, and only `loaded` is routed to. */
  status: z.string(),
  capabilities: z.array(z.string()).optional(),
  limit: modelLimit.optional(),
  tool_call: z.boolean().optional(),
  reasoning: z.boolean().optional(),
  devices: z.array(z.union([z.int(), z.string()])).optional(),
  vram_used_mb: z.number().nullish(),
  /** Why a model with status `failed` could not be loaded. */
  error: z.looseObject({ code: z.string() }).optional(),
  /** Of a model that is loading or recovering. */
  progress: loadProgress.optional(),
  servable: z.object({ ok: z.boolean(), reason: z.string().optional(), detail: z.string().optional() }).optional(),
});
export const neuronModels = z.array(neuronModel);

/** Load of one model. Zero in a ceiling means unknown, never none. */
export const neuronModelLoad = z.looseObject({
  id: z.string(),
  in_flight: z.number().optional(),
  queue_depth: z.number().optional(),
  max_in_flight: z.number().optional(),
  max_queue_depth: z.number().optional(),
  kv_budget_mb: z.number().optional(),
  kv_available_mb: z.number().optional(),
});

/** `GET /health`. */
export const neuronHealth = z.object({
  uptime_secs: z.number(),
  devices: z
    .array(
      z.looseObject({
        index: z.int(),
        backend: z.string().optional(),
        vram_used_mb: z.number().optional(),
        vram_free_mb: z.number().optional(),
      }),
    )
    .optional(),
  models: z.array(neuronModelLoad).optional(),
  activation: z.looseObject({ state: z.string() }).optional(),
});

/** `GET /discovery`: facts that do not change while the neuron runs. */
export const neuronDiscovery = z.object({
  hostname: z.string(),
  os: z.string().optional(),
  kernel: z.string().optional(),
  devices: z
    .array(
      z.looseObject({
        index: z.int().optional(),
        name: z.string().optional(),
        backend: z.string().optional(),
        vram_total_mb: z.number().optional(),
      }),
    )
    .optional(),
  max_prompt_tokens: z.number().optional(),
});

/** `POST /tokenize` with a text; with a chat request it takes the prompt that an answer would be made from. */
export const tokenizeTextRequest = z.object({
  model: z.string().min(1),
  prompt: z.string(),
  /** Whether the model's own begin and end tokens are added, as for a plain completion; true when absent. */
  add_special_tokens: z.boolean().nullish(),
});
export const tokenizeRequest = z.union([chatCompletionRequest, tokenizeTextRequest]);
export const tokenizeResponse = z.object({
  count: z.int().min(0),
  max_model_len: z.int(),
  tokens: z.array(z.int().min(0)),
});
/** What a count needs of that answer. */
export const tokenCount = z.object({ count: z.int().min(0) });

/** `POST /detokenize`. */
export const detokenizeRequest = z.object({ model: z.string().min(1), tokens: tokenIds });
export const detokenizeResponse = z.object({ prompt: z.string() });

export type TokenizeResponse = z.output<typeof tokenizeResponse>;
export type DetokenizeResponse = z.output<typeof detokenizeResponse>;
/** One load: `GET /jobs/:id`, and every event of its stream. Bytes, rate and time left are those of the phase. */
export const loadJobView = z.object({
  id: z.string(),
  model_id: z.string(),
  /** Where it is loaded, once that is decided. */
  backend: z.string().nullable(),
  state: z.enum(['running', 'loaded', 'failed', 'cancelled']),
  /** `resolving`, `downloading`, `quantising`, `uploading`, `warming`, `ready`. */
  phase: z.string(),
  bytes: z.number(),
  /** 0: not known. */
  total_bytes: z.number(),
  bytes_per_second: z.number().nullable(),
  eta_seconds: z.number().nullable(),
  /** Unix seconds. */
  started_at: z.number(),
  elapsed_ms: z.number(),
  phases: z.array(z.object({ phase: z.string(), ms: z.number(), bytes: z.number() })),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});

export type LoadJobView = z.output<typeof loadJobView>;
export type TokenCount = z.output<typeof tokenCount>;
export type NeuronModel = z.output<typeof neuronModel>;
export type NeuronHealth = z.output<typeof neuronHealth>;
export type NeuronDiscovery = z.output<typeof neuronDiscovery>;
