import { z } from 'zod';

/** Base URL of a registry; unlike a daemon's, it may have a path. */
const registryEndpoint = z.string().refine((text) => /^https?:\/\/[^\s?#@]+$/.test(text) && URL.canParse(text), {
  error: "a base URL is wanted, such as 'https://huggingface.co'",
});

const scheme = z
  .string()
  .regex(/^[a-z][a-z0-9-]{1,30}$/, { error: 'a word of 2 to 31 small letters, digits and dashes is wanted' });

const sourceEntry = z.strictObject({
  /** What stands before the colon of an id. */
  scheme,
  endpoint: registryEndpoint,
  cache_dir: z.string().min(1),
  token: z.string().min(1).optional(),
  token_file: z.string().min(1).optional(),
});

/** Where models that do not lie in a models folder come from. */
export const hubSchema = z
  .strictObject({
    /** Registry of ids without a scheme. */
    default_source: scheme.default('huggingface'),
    /** The registry 'huggingface'; `HF_ENDPOINT` when absent. */
    endpoint: registryEndpoint.default('https://huggingface.co'),
    /** Root of a cache, in the layout that other tools share; for 'huggingface' `HF_HUB_CACHE`, then `HF_HOME`/hub when absent. */
    cache_dir: z.string().min(1).optional(),
    /** What is sent as a bearer token, to this endpoint only; for 'huggingface' `HF_TOKEN` when absent. */
    token: z.string().min(1).optional(),
    /** File that holds the token, and may be absent; for 'huggingface' `HF_TOKEN_PATH`, then `HF_HOME`/token when absent. */
    token_file: z.string().min(1).optional(),
    /** Only what the caches hold; `HF_HUB_OFFLINE` when absent. */
    offline: z.boolean().default(false),
    /** Lends the caches to other neurons, over the neuron's own address. */
    serve: z.boolean().default(false),
    /** Files that one model downloads at a time. */
    downloads: z.int().min(1).max(64).default(4),
    sources: z.array(sourceEntry).default([]),
  })
  .prefault({})
  .refine(
    ({ sources }) => new Set(['huggingface', ...sources.map((source) => source.scheme)]).size === sources.length + 1,
    {
      error: "two sources have the same scheme; schemes are wanted to differ, also from 'huggingface'",
      path: ['sources'],
    },
  )
  .refine(
    ({ default_source: wanted, sources }) =>
      wanted === 'huggingface' || sources.some((source) => source.scheme === wanted),
    { error: "the scheme of an entry of 'hub.sources' or 'huggingface' is wanted", path: ['default_source'] },
  );
