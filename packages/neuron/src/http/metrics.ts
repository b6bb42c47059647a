import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EngineObserver } from '../engine/effects.js';
import type { ServedModel } from '../model/served-model.js';

const prefix = 'cortex_neuron_';

/** Every metric of a neuron, in a registry of its own. */
export class NeuronMetrics {
  readonly registry = new Registry();
  readonly requests = new Counter({
    name: `${prefix}http_requests_total`,
    help: 'HTTP requests by route and status',
    labelNames: ['route', 'status'] as const,
    registers: [this.registry],
  });
  readonly generations = new Counter({
    name: `${prefix}generations_total`,
    help: 'Generations by how they ended',
    labelNames: ['model', 'outcome'] as const,
    registers: [this.registry],
  });
  readonly tokens = new Counter({
    name: `${prefix}tokens_total`,
    help: 'Tokens of finished generations: prompt, cached (of the prompt, not computed) and completion',
    labelNames: ['model', 'kind'] as const,
    registers: [this.registry],
  });
  readonly timeToFirstToken = new Histogram({
    name: `${prefix}time_to_first_token_seconds`,
    help: 'From the request in the queue to its first token',
    labelNames: ['model'] as const,
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300],
    registers: [this.registry],
  });
  readonly #queueWait = new Histogram({
    name: `${prefix}queue_wait_seconds`,
    help: 'From the request in the queue to its first seat',
    labelNames: ['model'] as const,
    buckets: [0.001, 0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 300],
    registers: [this.registry],
  });
  readonly #tokenGap = new Histogram({
    name: `${prefix}inter_token_seconds`,
    help: 'Between two tokens of one sequence',
    labelNames: ['model'] as const,
    buckets: [0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 3],
    registers: [this.registry],
  });
  readonly #batchSize = new Histogram({
    name: `${prefix}batch_sequences`,
    help: 'Sequences that had rows in a step',
    labelNames: ['model'] as const,
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
    registers: [this.registry],
  });
  readonly #prefixLookups = this.#counter('prefix_lookups_total', 'Prompts by whether a beginning was cached', [
    'result',
  ]);
  readonly #promptTokens = this.#counter('prompt_tokens_total', 'Tokens of admitted prompts by where they came from', [
    'source',
  ]);
  readonly #rejections = this.#counter('rejections_total', 'Requests turned away, by reason', ['reason']);
  readonly #steps = this.#counter('steps_total', 'Steps of the device');
  readonly #rows = this.#counter('step_rows_total', 'Rows (tokens) computed in steps');
  readonly #deviceSeconds = this.#counter('device_seconds_total', 'Time that the device was busy with steps');

  /** `models` is asked when the metrics are read: gauges are never stale. */
  constructor(models: () => readonly ServedModel[]) {
    const gauge = (name: string, help: string, read: (model: ServedModel) => number) => {
      new Gauge({
        name: `${prefix}${name}`,
        help,
        labelNames: ['model'] as const,
        registers: [this.registry],
        collect() {
          this.reset();
          for (const model of models()) this.set({ model: model.id }, read(model));
        },
      });
    };
    gauge('sequences_running', 'Sequences that have a slot', (model) => model.engine.load.running);
    gauge('sequences_waiting', 'Sequences that wait for a slot or pages', (model) => model.engine.load.waiting);
    gauge('kv_pages_used', 'Pages of the key-value cache that sequences hold', (model) => model.engine.load.pages.used);
    gauge('kv_pages_cached', 'Pages kept for prefix reuse only', (model) => model.engine.load.pages.cached);
    gauge('kv_pages_free', 'Pages that hold nothing', (model) => model.engine.load.pages.free);
  }

  /** What an engine tells of one model. */
  observerOf(model: string): EngineObserver {
    return {
      onStep: ({ rows, sequences, deviceNs, tokenGapsMs }) => {
        this.#steps.inc({ model });
        this.#rows.inc({ model }, rows);
        this.#deviceSeconds.inc({ model }, deviceNs / 1e9);
        if (sequences > 0) this.#batchSize.observe({ model }, sequences);
        for (const gapMs of tokenGapsMs) this.#tokenGap.observe({ model }, gapMs / 1000);
      },
      onAdmitted: ({ queueMs, promptTokens, cachedTokens }) => {
        this.#queueWait.observe({ model }, queueMs / 1000);
        this.#prefixLookups.inc({ model, result: cachedTokens > 0 ? 'hit' : 'miss' });
        this.#promptTokens.inc({ model, source: 'cached' }, cachedTokens);
        this.#promptTokens.inc({ model, source: 'computed' }, promptTokens - cachedTokens);
      },
      onRejected: (reason) => this.#rejections.inc({ model, reason }),
    };
  }

  #counter<Label extends string = never>(
    name: string,
    help: string,
    labels: readonly Label[] = [],
  ): Counter<'model' | Label> {
    return new Counter({
      name: `${prefix}${name}`,
      help,
      labelNames: ['model', ...labels],
      registers: [this.registry],
    });
  }
}
