import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { StepSummary } from '../engine/effects.js';
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
  readonly #steps = new Counter({
    name: `${prefix}steps_total`,
    help: 'Steps of the device',
    labelNames: ['model'] as const,
    registers: [this.registry],
  });
  readonly #rows = new Counter({
    name: `${prefix}step_rows_total`,
    help: 'Rows (tokens) computed in steps',
    labelNames: ['model'] as const,
    registers: [this.registry],
  });
  readonly #deviceSeconds = new Counter({
    name: `${prefix}device_seconds_total`,
    help: 'Time that the device was busy with steps',
    labelNames: ['model'] as const,
    registers: [this.registry],
  });

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

  observeStep(model: string, step: StepSummary): void {
    this.#steps.inc({ model });
    this.#rows.inc({ model }, step.rows);
    this.#deviceSeconds.inc({ model }, step.deviceNs / 1e9);
  }
}
