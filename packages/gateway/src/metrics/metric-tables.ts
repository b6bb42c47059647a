/**
 * What the gateway counts and times. Labels are only names that the configuration or a neuron gave, never a client's text; `key` is
 * empty for a request of nobody in particular.
 */

export interface CounterRow {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

export interface HistogramRow extends CounterRow {
  readonly buckets: readonly number[];
}

const perNode = ['node'] as const;
const perModel = ['model', 'node'] as const;
const perRequest = ['model', 'node', 'key'] as const;

export const counterRows = {
  requests: {
    name: 'cortex_requests_total',
    help: 'Requests that were answered, by route, model, node, key and status; refused ones too.',
    labels: ['route', 'model', 'node', 'key', 'status'],
  },
  coldStarts: {
    name: 'cortex_cold_starts_total',
    help: 'Requests that waited for a load.',
    labels: perModel,
  },
  promptTokens: {
    name: 'cortex_prompt_tokens_total',
    help: 'Tokens of prompts, as neurons report.',
    labels: perRequest,
  },
  completionTokens: {
    name: 'cortex_completion_tokens_total',
    help: 'Tokens of answers; the pieces that were seen where an answer ended early.',
    labels: perRequest,
  },
  cachedTokens: {
    name: 'cortex_cached_prompt_tokens_total',
    help: 'Tokens of prompts that a neuron had in its cache.',
    labels: perRequest,
  },
  spend: { name: 'cortex_spend_tokens_total', help: 'Tokens charged to a key.', labels: ['account', 'key'] },
  rejections: {
    name: 'cortex_rejections_total',
    help: 'Inference requests that the gateway refused, by code of the error.',
    labels: ['model', 'key', 'code'],
  },
  retries: {
    name: 'cortex_retries_total',
    help: 'Requests that were sent once more, by what went before.',
    labels: ['node', 'reason'],
  },
  loads: {
    name: 'cortex_model_loads_total',
    help: 'Loads that the gateway asked for, by how they ended.',
    labels: ['model', 'node', 'outcome'],
  },
  evictions: {
    name: 'cortex_evictions_total',
    help: 'Models that left a node, for another one or because nobody had asked for them in long.',
    labels: [...perModel, 'reason'],
  },
  reloads: {
    name: 'cortex_catalogue_reloads_total',
    help: 'Readings of the model catalogue after the first.',
    labels: ['outcome'],
  },
  configReloads: {
    name: 'cortex_config_reloads_total',
    help: 'Readings of the configuration after the first.',
    labels: ['outcome'],
  },
  upstreamFailures: {
    name: 'cortex_upstream_failures_total',
    help: 'Attempts at a node that failed, by code of the error.',
    labels: ['node', 'code'],
  },
  pollFailures: { name: 'cortex_poll_failures_total', help: 'Looks at a node that failed.', labels: perNode },
  requestBytes: {
    name: 'cortex_request_bytes_total',
    help: 'Bytes of request bodies sent to a node.',
    labels: perNode,
  },
  responseBytes: {
    name: 'cortex_response_bytes_total',
    help: 'Bytes of answer bodies received from a node.',
    labels: perNode,
  },
} as const satisfies Readonly<Record<string, CounterRow>>;

const durationBuckets = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200];
const firstByteBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];
const tokenBuckets = [16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144];

export const histogramRows = {
  duration: {
    name: 'cortex_request_duration_seconds',
    help: 'Time from the request to the end of its answer, of a stream too.',
    labels: perRequest,
    buckets: durationBuckets,
  },
  firstByte: {
    name: 'cortex_time_to_first_byte_seconds',
    help: 'Time from the request to the first byte of the body of its answer.',
    labels: perRequest,
    buckets: firstByteBuckets,
  },
  firstToken: {
    name: 'cortex_time_to_first_token_seconds',
    help: 'Time from a request for a stream to the first text, thought or argument of its answer.',
    labels: perRequest,
    buckets: firstByteBuckets,
  },
  gap: {
    name: 'cortex_inter_token_seconds',
    help: 'Time between two pieces of a streamed answer, about one token each.',
    labels: perRequest,
    buckets: [0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5],
  },
  tokenRate: {
    name: 'cortex_tokens_per_second',
    help: 'Tokens of a streamed answer by the time from its first piece to its last.',
    labels: perRequest,
    buckets: [1, 2.5, 5, 10, 15, 20, 30, 40, 60, 80, 120, 200],
  },
  promptSize: {
    name: 'cortex_request_prompt_tokens',
    help: 'Tokens of the prompt of one request, as neurons report.',
    labels: perRequest,
    buckets: tokenBuckets,
  },
  completionSize: {
    name: 'cortex_request_completion_tokens',
    help: 'Tokens of the answer to one request.',
    labels: perRequest,
    buckets: tokenBuckets,
  },
  queue: {
    name: 'cortex_queue_seconds',
    help: 'Time that a request waited for its place at a node, for loads above all.',
    labels: perRequest,
    buckets: [0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
  },
  loadDuration: {
    name: 'cortex_model_load_seconds',
    help: 'Time of a load that went well, with the evictions before it.',
    labels: perModel,
    buckets: durationBuckets,
  },
} as const satisfies Readonly<Record<string, HistogramRow>>;
