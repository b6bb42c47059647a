import { z } from 'zod';
import { modelLimit } from '../wire/openai-models.js';
import { bodyLimitBytes, listenAddress, logSchema, serverEndpoint, sharedToken } from './shared-schema.js';

const redisUrl = z.string().refine((text) => /^rediss?:\/\/[^\s]+$/.test(text) && URL.canParse(text), {
  error: "the address of a Redis server is wanted, such as 'redis://127.0.0.1:6379'",
});

const neuronEntry = z
  .strictObject({
    /** Label of the neuron everywhere: listings, logs, metrics. */
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, {
      error: 'letters, digits, dots, dashes and underscores are wanted',
    }),
    /** Base URL; of a server of another make with its path, such as `https://api.example.com/v1`. */
    endpoint: serverEndpoint,
    /** `neuron` when absent; `openai` is a server of another make that speaks OpenAI's API: its models count as loaded, and none is loaded or evicted there. */
    kind: z.enum(['neuron', 'openai']).optional(),
    /** Models of a server of kind `openai`; asked for at its `/v1/models` when absent. */
    models: z
      .array(
        z.strictObject({
          id: z.string().min(1),
          limit: modelLimit.strict().optional(),
          capabilities: z.array(z.string().min(1)).default([]),
          tool_call: z.boolean().optional(),
          reasoning: z.boolean().optional(),
        }),
      )
      .optional(),
    token: sharedToken.describe('Sent to it as a bearer token.').optional(),
    token_file: z.string().min(1).describe('File that holds the token.').optional(),
    /** Environment variable that holds the token. */
    token_env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
      .optional(),
    /** PEM file of what its certificate is checked against, instead of the authorities that the system knows. */
    ca: z.string().min(1).optional(),
  })
  .refine(({ kind, endpoint }) => kind === 'openai' || !/^https?:\/\/[^/]+\//.test(endpoint), {
    error: "a base URL without a path is wanted, such as 'http://127.0.0.1:13131'",
    path: ['endpoint'],
  })
  .refine(({ kind, models }) => kind === 'openai' || models === undefined, {
    error: "a neuron says itself which models it has; 'kind' is wanted to be 'openai'",
    path: ['models'],
  });

const keyEntry = z.strictObject({
  /** The key itself or, better, only its hash: `sha256:` and 64 hexadecimal digits. */
  key: z
    .string()
    .min(8)
    .regex(/^(?!sha256:)|^sha256:[0-9a-f]{64}$/, {
      error: "a key, or 'sha256:' and 64 hexadecimal digits, is wanted",
    }),
  /** Who is accountable; neurons get it with every request. */
  account_id: z.string().regex(/^[\x21-\x7e]{1,128}$/, { error: 'printable text without spaces is wanted' }),
  /** Label of the key in metrics and budgets; `account_id` when absent. */
  key_id: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, { error: 'printable text without spaces is wanted' })
    .optional(),
  /** An admin key opens the routes below /admin, and no other. */
  admin: z.boolean().default(false),
  /** Models that the key may use, also by an alias; all when empty. */
  allowed_models: z.array(z.string().min(1)).default([]),
  /** Tokens that the key may use in its window; unlimited when absent. */
  hard_cap: z.int().min(0).optional(),
  window: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('balance') }),
      z.strictObject({ kind: z.literal('rolling'), seconds: z.int().min(1) }),
    ])
    .default({ kind: 'balance' }),
  /** Requests that the key may make in a minute; unlimited when absent. */
  requests_per_minute: z.int().min(1).optional(),
});

/** `cortex.toml`: what the gateway needs to know. */
export const gatewayConfigSchema = z.strictObject({
  gateway: z
    .strictObject({
      listen: listenAddress.default('127.0.0.1:31313'),
      metrics_listen: listenAddress.default('127.0.0.1:31314'),
      /** Pause between two looks at the neurons. */
      poll_interval_ms: z.int().min(10).max(600_000).default(1000),
      /** Longest wait for one answer of a neuron to a look. */
      poll_timeout_ms: z.int().min(10).max(600_000).default(5000),
      /** Serve addresses beyond this host without asking for keys. */
      allow_unauthenticated: z.boolean().default(false),
      body_limit_bytes: bodyLimitBytes,
      /** Leave out the line that a coding agent puts before its system prompt and that differs in every request. */
      strip_billing_header: z.boolean().default(true),
      /** Origins of web pages that may ask, such as `https://app.example.com`; `*` lets every page ask. None when empty. */
      cors_origins: z
        .array(
          z.string().regex(/^(?:\*|[a-z][a-z0-9+.-]*:\/\/[^\s/]+)$/, {
            error: "an origin is wanted, such as 'https://app.example.com', or '*'",
          }),
        )
        .default([]),
      /** Let those pages send cookies and the like; they need none for a key. */
      cors_credentials: z.boolean().default(false),
      /** A stream that has begun and then sends nothing for this long, not even a comment, has died; neurons comment each second. */
      stream_silence_ms: z.int().min(1000).max(3_600_000).default(60_000),
      /** Longest wait for open streams at shutdown. */
      drain_timeout_ms: z.int().min(0).max(3_600_000).default(30_000),
    })
    .refine(({ cors_origins: origins, cors_credentials: isWanted }) => !isWanted || !origins.includes('*'), {
      error: "credentials for every page are unsafe; origins are wanted instead of '*'",
      path: ['cors_credentials'],
    })
    .prefault({}),
  neurons: z
    .array(neuronEntry)
    .default([])
    .refine((neurons) => new Set(neurons.map(({ name }) => name)).size === neurons.length, {
      error: 'two neurons have the same name; names are wanted to differ',
    }),
  /** File of the model catalogue, models.toml; relative to the folder that the gateway was started in. */
  models_config: z.string().min(1).optional(),
  loading: z
    .strictObject({
      /** Longest wait of one request for its model to be loaded. */
      wait_ms: z.int().min(0).max(3_600_000).default(300_000),
      /** Longest time that one load may take. */
      timeout_ms: z.int().min(1000).max(86_400_000).default(1_800_000),
      /** A model that was loaded stays for at least this long. */
      residency_ms: z.int().min(0).max(86_400_000).default(15_000),
      /** After a wait this long, a busy model in the way gets no new requests. */
      patience_ms: z.int().min(0).max(3_600_000).default(30_000),
      /** A stream that waits for its model says so this often. */
      keep_alive_ms: z.int().min(100).max(600_000).default(5000),
    })
    .prefault({}),
  eviction: z
    .strictObject({
      /** Which idle model leaves first: the one of the lowest priority and of these the one used longest ago, or with `lru` only the latter. Neither displaces one of higher priority. */
      strategy: z.enum(['priority', 'lru']).default('priority'),
      /** A model of the catalogue that nobody has asked for in so long is unloaded, unless it is pinned; never when 0. */
      idle_ttl_ms: z.int().min(0).max(2_147_483_647).default(0),
      /** After so many models have left a neuron, its log line says that a restart would defragment its memory; never when 0. */
      defrag_after_cycles: z.int().min(0).default(0),
    })
    .prefault({}),
  entitlements: z
    .strictObject({
      /** Refuse requests without a known key. */
      require_auth: z.boolean().default(false),
      /** Where it is noted what keys have used: only in memory, in a file of this gateway, or in a Redis that several gateways share. */
      ledger: z
        .discriminatedUnion('kind', [
          z.strictObject({ kind: z.literal('memory') }),
          z.strictObject({ kind: z.literal('sqlite'), file: z.string().min(1) }),
          z.strictObject({ kind: z.literal('redis'), url: redisUrl, prefix: z.string().default('cortex:') }),
        ])
        .default({ kind: 'memory' }),
      keys: z
        .array(keyEntry)
        .default([])
        .refine((keys) => new Set(keys.map((key) => key.key_id ?? key.account_id)).size === keys.length, {
          error: "two keys have the same 'key_id'; a 'key_id' of its own is wanted for each",
        }),
    })
    .prefault({}),
  log: logSchema,
});

export type GatewayConfig = z.output<typeof gatewayConfigSchema>;
