import { z } from 'zod';
import { bodyLimitBytes, httpEndpoint, listenAddress, logSchema } from './shared-schema.js';

const neuronEntry = z.strictObject({
  /** Label of the neuron everywhere: listings, logs, metrics. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, { error: 'letters, digits, dots, dashes and underscores are wanted' }),
  endpoint: httpEndpoint,
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
      body_limit_bytes: bodyLimitBytes,
      /** Leave out the line that a coding agent puts before its system prompt and that differs in every request. */
      strip_billing_header: z.boolean().default(true),
      /** Longest wait for open streams at shutdown. */
      drain_timeout_ms: z.int().min(0).max(3_600_000).default(30_000),
    })
    .prefault({}),
  neurons: z
    .array(neuronEntry)
    .default([])
    .refine((neurons) => new Set(neurons.map(({ name }) => name)).size === neurons.length, {
      error: 'two neurons have the same name; names are wanted to differ',
    }),
  /** File of the model catalogue. */
  models_config: z.string().min(1).optional(),
  log: logSchema,
});

export type GatewayConfig = z.output<typeof gatewayConfigSchema>;
