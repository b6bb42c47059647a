import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type Fleet, modelOn } from '../fleet/fleet.js';

const durationBuckets = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200];
const rateBuckets = [1, 2.5, 5, 10, 15, 20, 30, 40, 60, 80, 120, 200];
const gapBuckets = [0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5];
const queueBuckets = [0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const firstByteBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];

/** What neurons say about the load of their models, under the name of each number in their answer. */
const modelGauges = [
  ['cortex_model_in_flight', 'in_flight', 'Sequences that a model is generating.'],
  ['cortex_model_queue_depth', 'queue_depth', 'Requests that wait for a model.'],
  ['cortex_model_max_in_flight', 'max_in_flight', 'Most sequences that a model generates at once.'],
  ['cortex_model_max_queue_depth', 'max_queue_depth', 'Most requests that may wait for a model.'],
  ['cortex_model_kv_budget_mb', 'kv_budget_mb', 'Size of the key-value cache of a model.'],
  ['cortex_model_kv_available_mb', 'kv_available_mb', 'Room left in the key-value cache of a model.'],
] as const;

const deviceGauges = [
  ['cortex_device_vram_used_mb', 'vram_used_mb', 'Memory of a device that is in use.'],
  ['cortex_device_vram_free_mb', 'vram_free_mb', 'Memory of a device that is free.'],
] as const;

const counter = <Label extends string>(
  { registry }: { readonly registry: Registry },
  name: string,
  help: string,
  labelNames: Label[],
): Counter<Label> => new Counter({ name, help, labelNames, registers: [registry] });

/** What the gateway counts. Labels are only names that the configuration or a neuron gave, never a client's text. */
export class Metrics {
  readonly registry = new Registry();
  readonly requests = new Counter({
    name: 'cortex_requests_total',
    help: 'Requests that were answered, by route, model, node and status; refused ones too.',
    labelNames: ['route', 'model', 'node', 'status'],
    registers: [this.registry],
  });
  readonly duration = new Histogram({
    name: 'cortex_request_duration_seconds',
    help: 'Time from the request to the end of its answer, of a stream too.',
    labelNames: ['model', 'node'],
    buckets: durationBuckets,
    registers: [this.registry],
  });
  readonly firstByte = new Histogram({
    name: 'cortex_time_to_first_byte_seconds',
    help: 'Time from the request to the first byte of the body of its answer.',
    labelNames: ['model', 'node'],
    buckets: firstByteBuckets,
    registers: [this.registry],
  });
  readonly firstToken = new Histogram({
    name: 'cortex_time_to_first_token_seconds',
    help: 'Time from a request for a stream to the first text, thought or argument of its answer.',
    labelNames: ['model', 'node'],
    buckets: firstByteBuckets,
    registers: [this.registry],
  });
  readonly gap = new Histogram({
    name: 'cortex_inter_token_seconds',
    help: 'Time between two pieces of a streamed answer, about one token each.',
    labelNames: ['model', 'node'],
    buckets: gapBuckets,
    registers: [this.registry],
  });
  readonly tokenRate = new Histogram({
    name: 'cortex_tokens_per_second',
    help: 'Tokens of a streamed answer by the time from its first piece to its last.',
    labelNames: ['model', 'node'],
    buckets: rateBuckets,
    registers: [this.registry],
  });
  readonly queue = new Histogram({
    name: 'cortex_queue_seconds',
    help: 'Time that a request waited for its place at a node, for loads above all.',
    labelNames: ['model', 'node'],
    buckets: queueBuckets,
    registers: [this.registry],
  });
  readonly coldStarts = counter(this, 'cortex_cold_starts_total', 'Requests that waited for a load.', [
    'model',
    'node',
  ]);
  readonly promptTokens = counter(this, 'cortex_prompt_tokens_total', 'Tokens of prompts, as neurons report.', [
    'model',
    'node',
  ]);
  readonly completionTokens = counter(
    this,
    'cortex_completion_tokens_total',
    'Tokens of answers; the pieces that were seen where an answer ended early.',
    ['model', 'node'],
  );
  readonly cachedTokens = counter(
    this,
    'cortex_cached_prompt_tokens_total',
    'Tokens of prompts that a neuron had in its cache.',
    ['model', 'node'],
  );
  readonly spend = counter(this, 'cortex_spend_tokens_total', 'Tokens charged to a key.', ['account', 'key']);
  readonly rejections = counter(
    this,
    'cortex_rejections_total',
    'Inference requests that the gateway refused, by code of the error.',
    ['model', 'code'],
  );
  readonly retries = counter(this, 'cortex_retries_total', 'Requests that were sent once more, by what went before.', [
    'node',
    'reason',
  ]);
  readonly loads = counter(this, 'cortex_model_loads_total', 'Loads that the gateway asked for.', [
    'model',
    'node',
    'outcome',
  ]);
  readonly loadDuration = new Histogram({
    name: 'cortex_model_load_seconds',
    help: 'Time of a load that went well, with the evictions before it.',
    labelNames: ['model', 'node'],
    buckets: durationBuckets,
    registers: [this.registry],
  });
  readonly evictions = counter(this, 'cortex_evictions_total', 'Models that left a node for another one.', [
    'model',
    'node',
  ]);
  readonly reloads = counter(
    this,
    'cortex_catalogue_reloads_total',
    'Readings of the model catalogue after the first.',
    ['outcome'],
  );
  readonly upstreamFailures = new Counter({
    name: 'cortex_upstream_failures_total',
    help: 'Attempts at a node that failed, by code of the error.',
    labelNames: ['node', 'code'],
    registers: [this.registry],
  });
  readonly pollFailures = new Counter({
    name: 'cortex_poll_failures_total',
    help: 'Looks at a node that failed.',
    labelNames: ['node'],
    registers: [this.registry],
  });
  readonly requestBytes = new Counter({
    name: 'cortex_request_bytes_total',
    help: 'Bytes of request bodies sent to a node.',
    labelNames: ['node'],
    registers: [this.registry],
  });
  readonly responseBytes = new Counter({
    name: 'cortex_response_bytes_total',
    help: 'Bytes of answer bodies received from a node.',
    labelNames: ['node'],
    registers: [this.registry],
  });

  constructor(fleet: () => Fleet, inFlight: (node: string) => number, waiting: () => number) {
    const registers = [this.registry];
    new Gauge({
      name: 'cortex_waiting_requests',
      help: 'Requests that wait for their model to be loaded.',
      registers,
      collect() {
        this.set(waiting());
      },
    });
    // Read when they are scraped: a node that is gone leaves no stale value.
    new Gauge({
      name: 'cortex_node_requests_in_flight',
      help: 'Requests that a node is answering for this gateway.',
      labelNames: ['node'],
      registers,
      collect() {
        this.reset();
        for (const { name } of fleet()) this.set({ node: name }, inFlight(name));
      },
    });
    new Gauge({
      name: 'cortex_node_healthy',
      help: '1 while a node answers, else 0.',
      labelNames: ['node'],
      registers,
      collect() {
        this.reset();
        for (const node of fleet()) this.set({ node: node.name }, node.healthy ? 1 : 0);
      },
    });
    new Gauge({
      name: 'cortex_model_loaded',
      help: '1 for a model that a healthy node has loaded, 0 for one that it only has.',
      labelNames: ['node', 'model'],
      registers,
      collect() {
        this.reset();
        for (const node of fleet()) {
          if (!node.healthy) continue;
          for (const { id } of node.models) {
            this.set({ node: node.name, model: id }, modelOn(node, id)?.status === 'loaded' ? 1 : 0);
          }
        }
      },
    });
    for (const [name, field, help] of modelGauges) {
      new Gauge({
        name,
        help,
        labelNames: ['node', 'model'],
        registers,
        collect() {
          this.reset();
          for (const node of fleet()) {
            if (!node.healthy) continue;
            for (const load of node.health?.models ?? []) {
              const value = load[field];
              // A ceiling of zero means unknown.
              if (value !== undefined && !(field.startsWith('max_') && value === 0)) {
                this.set({ node: node.name, model: load.id }, value);
              }
            }
          }
        },
      });
    }
    for (const [name, field, help] of deviceGauges) {
      new Gauge({
        name,
        help,
        labelNames: ['node', 'backend', 'device'],
        registers,
        collect() {
          this.reset();
          for (const node of fleet()) {
            if (!node.healthy) continue;
            for (const device of node.health?.devices ?? []) {
              const value = device[field];
              const labels = { node: node.name, backend: device.backend ?? '', device: String(device.index) };
              if (value !== undefined) this.set(labels, value);
            }
          }
        },
      });
    }
  }
}
