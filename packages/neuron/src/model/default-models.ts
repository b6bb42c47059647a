import { CortexError, type NeuronConfig } from '@helexa/core';
import type { Logger } from 'pino';
import type { Activation } from '../http/control.js';
import { configuredId, locateConfigured } from './model-locator.js';
import type { ModelSpec, ModelTable } from './model-table.js';

export interface DefaultModelsOptions {
  readonly config: NeuronConfig;
  readonly table: ModelTable;
  readonly log: Logger;
}

/** The models that the configuration names: where they lie, how they are loaded, and how far that is. */
export class DefaultModels {
  readonly #options: DefaultModelsOptions;
  readonly #pending = new Set<string>();
  readonly #completed = new Set<string>();
  readonly #failed = new Map<string, string>();

  constructor(options: DefaultModelsOptions) {
    this.#options = options;
    for (const { model_id: id } of options.config.default_models) this.#pending.add(configuredId(id));
  }

  get activation(): Activation {
    return {
      state: this.#pending.size > 0 ? 'pre_warming' : 'ready',
      pending: [...this.#pending],
      completed: [...this.#completed],
      failed: [...this.#failed].map(([id, error]) => ({ model_id: id, error })),
    };
  }

  /** How the configuration wants the model with this id, or null when it does not name it. */
  async specOf(id: string): Promise<ModelSpec | null> {
    const { config } = this.#options;
    const entry = config.default_models.find(({ model_id: named }) => configuredId(named) === id);
    return entry ? await this.#specOf(entry) : null;
  }

  /** Loads all of them side by side; a failure is recorded and stops none of the others. */
  async loadAll(): Promise<void> {
    const { config, table, log } = this.#options;
    await Promise.all(
      config.default_models.map(async (entry) => {
        const id = configuredId(entry.model_id);
        try {
          await table.load(await this.#specOf(entry));
          this.#completed.add(id);
        } catch (error) {
          const message = CortexError.isInstance(error) ? error.message : 'an unexpected failure';
          this.#failed.set(id, message);
          log.error({ model: id, err: error }, 'default model not loaded');
        } finally {
          this.#pending.delete(id);
        }
      }),
    );
  }

  async #specOf(entry: NeuronConfig['default_models'][number]): Promise<ModelSpec> {
    const { config } = this.#options;
    const location = await locateConfigured(entry.model_id, config.models_dir);
    return { ...location, tensorParallel: entry.tensor_parallel ?? 1, device: entry.device ?? config.device };
  }
}
