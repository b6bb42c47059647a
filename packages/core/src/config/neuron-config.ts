import { z } from 'zod';
import { hubSchema } from './hub-schema.js';
import { bodyLimitBytes, listenAddress, logSchema, sharedToken } from './shared-schema.js';

const device = z.enum(['auto', 'cpu', 'reference', 'cuda']);

const modelEntry = z.strictObject({
  model_id: z.string().min(1),
  tensor_parallel: z.int().min(1).max(64).optional(),
  device: device.optional(),
  /** Index of the device of each rank; the backend's own order when absent. */
  devices: z.array(z.int().min(0)).optional(),
  /** Names one GGUF file of several, or what safetensors become as they are read. */
  quant: z.string().min(1).optional(),
});

/** `neuron.toml`: what one neuron needs to know. */
export const neuronConfigSchema = z.strictObject({
  listen: listenAddress.default('127.0.0.1:13131'),
  token: sharedToken.describe('What every request must bring as a bearer token; the gateway has the same.').optional(),
  token_file: z.string().min(1).describe('File that holds the token.').optional(),
  /** PEM file of the certificate chain: with it and `tls_key` the neuron speaks HTTPS only. */
  tls_cert: z.string().min(1).optional(),
  /** PEM file of the certificate's private key. */
  tls_key: z.string().min(1).optional(),
  /** Serve addresses beyond this host without asking for a token. */
  allow_unauthenticated: z.boolean().default(false),
  /** Folders that hold models. */
  models_dir: z.array(z.string().min(1)).default([]),
  /** Models that are loaded at start. */
  default_models: z.array(modelEntry).default([]),
  device: device.default('auto'),
  /** Worker threads of the CPU backend; the number of physical cores when absent. */
  threads: z.int().min(1).max(1024).optional(),
  engine: z
    .strictObject({
      /** Most tokens of one step, over all sequences. */
      max_rows: z.int().min(1).max(65_536).default(512),
      /** Most sequences that run at once. */
      max_sequences: z.int().min(1).max(1024).default(8),
      /** Most tokens of one sequence; the model's own limit when absent. */
      max_context: z.int().min(1).optional(),
      /** Pages of the key-value cache; as many as fit when absent. */
      kv_pages: z.int().min(1).optional(),
      kv_format: z.enum(['F16']).default('F16'),
      prefix_cache: z.boolean().default(true),
      /** Largest area of an image in pixels: larger ones are made smaller; 0 serves no images. */
      max_image_pixels: z
        .int()
        .min(0)
        .max(2 ** 24)
        .default(2 ** 20),
    })
    .prefault({}),
  /** Who may come in, and how long they wait. */
  admission: z
    .strictObject({
      /** Most generations that wait beyond those running; 32 for each of `engine.max_sequences` when absent. */
      max_queue_depth: z.int().min(0).max(1_000_000).optional(),
      /** Longest wait for a seat, in seconds. */
      max_wait_secs: z.number().min(0).max(86_400).default(30),
      /** Longest wait for pages of the key-value cache while seats are free, in seconds. */
      kv_max_wait_secs: z.number().min(0).max(86_400).default(240),
      /** Most running and waiting generations of one principal; 0: bounded by the fair share only. */
      max_per_principal: z.int().min(0).default(0),
      /** Most seats of callers without a principal; all but one when absent, 0 refuses them. */
      anon_max_in_flight: z.int().min(0).optional(),
      /** Most running and waiting generations of callers without a principal; one less than there is room for when absent. */
      anon_max_pending: z.int().min(0).optional(),
    })
    .prefault({}),
  context_limit: z
    .strictObject({
      /** Whether prompts that would be computed for too long are refused. */
      enabled: z.boolean().default(true),
      /** Longest computation of a prompt, in seconds. */
      target_prefill_latency_secs: z.number().min(1).max(86_400).default(120),
      /** Prompt tokens per second that are assumed before the first measurement. */
      bootstrap_prefill_tok_per_sec: z.number().min(1).default(800),
    })
    .prefault({}),
  hub: hubSchema,
  body_limit_bytes: bodyLimitBytes,
  /** Longest time that requests under way may take to end when the neuron is told to stop. */
  drain_ms: z.int().min(0).max(600_000).default(20_000),
  log: logSchema,
});

export type NeuronConfig = z.output<typeof neuronConfigSchema>;
