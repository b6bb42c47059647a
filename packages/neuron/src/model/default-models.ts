import { type Clock, CortexError, type ErrorCode, type NeuronConfig } from '@helexa/core';
import type { Logger } from 'pino';
import type { Activation } from '../http/control.js';
import { refusalKind } from '../preflight/refusal-kind.js';
import type { ModelSources } from '../sources/model-sources.js';
import { sleep } from '../sources/retry.js';
import { canonicalModelId } from '../sources/source-id.js';
import { configuredId } from './model-locator.js';
import type { ModelSpec } from './model-state.js';
import type { ModelTable } from './model-table.js';
import { resolveConfigured } from './resolve-model.js';

export interface DefaultModelsOptions {
  readonly config: NeuronConfig;
  readonly table: ModelTable;
  readonly sources: ModelSources;
  readonly clock: Clock;
  readonly log: Logger;
  /** Ends the waits between attempts. */
  readonly signal: AbortSignal;
}

/** Waits after a fetch that failed and may yet succeed: a host often starts before its network does. */
const retrySeconds = [10, 20, 40, 80, 160, 300];

/** What may be cured by waiting: the network of a host that has just started, or a device that is being made anew. */
const passing: ReadonlySet<ErrorCode> = new Set(['repo_fetch_failed', 'device_lost']);

/** The models that the configuration names: where they lie, how they are loaded, and how far that is. */
export class DefaultModels {
  readonly #options: DefaultModelsOptions;
  readonly #pending = new Set<string>();
  readonly #completed = new Set<string>();
  readonly #failed = new Map<string, string>();

  constructor(options: DefaultModelsOptions) {
    this.#options = options;
    for (const { model_id: id } of options.config.default_models) this.#pending.add(this.#idOf(id));
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
    const entry = config.default_models.find(({ model_id: named }) => this.#idOf(named) === this.#idOf(id));
    return entry ? await this.#specOf(entry) : null;
  }

  /** Loads all of them side by side; a failure is recorded and stops none of the others. */
  async loadAll(): Promise<void> {
    const { config, log } = this.#options;
    await Promise.all(
      config.default_models.map(async (entry) => {
        const id = this.#idOf(entry.model_id);
        try {
          await this.#loadPatiently(entry);
          this.#completed.add(id);
        } catch (error) {
          const message = CortexError.isInstance(error) ? error.message : 'an unexpected failure';
          this.#failed.set(id, message);
          const reason = CortexError.isInstance(error) ? refusalKind(error) : 'internal_error';
          const words = `default model not loaded: reason=${reason} detail=${message}`;
          log.error({ model: id, reason, detail: message, err: error }, words);
        } finally {
          this.#pending.delete(id);
        }
      }),
    );
  }

  #idOf(modelId: string): string {
    return canonicalModelId(configuredId(modelId), this.#options.config.hub.default_source);
  }

  /** Loads one model; a registry that cannot be reached is asked again for about ten minutes. */
  async #loadPatiently(entry: NeuronConfig['default_models'][number]): Promise<void> {
    const { table, clock, log, signal } = this.#options;
    for (const seconds of [...retrySeconds, null]) {
      try {
        await table.load(await this.#specOf(entry));
        return;
      } catch (error) {
        if (!CortexError.isInstance(error) || !passing.has(error.code) || seconds === null) throw error;
        log.warn(
          { model: entry.model_id, seconds },
          `reason=${refusalKind(error)} detail=${error.message}; tried again`,
        );
        await sleep(clock, seconds * 1000, signal);
      }
    }
  }

  async #specOf(entry: NeuronConfig['default_models'][number]): Promise<ModelSpec> {
    const { config, sources } = this.#options;
    const resolved = await resolveConfigured(entry.model_id, config.models_dir, sources);
    return {
      ...resolved,
      tensorParallel: entry.tensor_parallel ?? 1,
      device: entry.device ?? config.device,
      devices: entry.devices ?? null,
      quant: entry.quant ?? null,
    };
  }
}
