import { type Clock, CortexError } from '@helexa/core';
import type { Logger } from 'pino';
import type { ServedModel } from './served-model.js';
import type { UploadProgress } from './upload.js';

/** How one model is to be loaded. */
export interface ModelSpec {
  readonly id: string;
  /** Folder or file of the checkpoint. */
  readonly path: string;
  readonly tensorParallel: number;
  readonly device: string;
  /** Whether it comes from a registry; `path` is its id then. */
  readonly isRemote?: boolean;
  /** Names the GGUF file of several, or a quantisation to be made; null or absent: as the files are. */
  readonly quant?: string | null;
}

/** Where a model is in its life here. */
export type ModelState =
  | {
      readonly kind: 'loading';
      readonly progress: UploadProgress;
      readonly done: Promise<void>;
      readonly abort: AbortController;
    }
  | { readonly kind: 'ready'; readonly model: ServedModel }
  | { readonly kind: 'failed'; readonly error: CortexError; readonly model: ServedModel | null }
  | { readonly kind: 'unloading'; readonly done: Promise<void> };

export interface ModelRow {
  readonly spec: ModelSpec;
  readonly state: ModelState;
}

export interface ModelTableOptions {
  /** Opens a model; `onFailed` is called when its device fails later. */
  readonly open: (spec: ModelSpec, hooks: OpenHooks) => Promise<ServedModel>;
  readonly clock: Clock;
  readonly log: Logger;
  /** The one spelling of an id; as it is when absent. */
  readonly canonical?: (id: string) => string;
}

export interface OpenHooks {
  readonly onProgress: (progress: UploadProgress) => void;
  readonly onFailed: (error: CortexError) => void;
  readonly signal: AbortSignal;
}

/** Longest time that freeing one model may take at the end. */
const unloadMs = 20_000;

/**
 * The models of this neuron: one writer of every model's state. Loads of one id are joined, loads of different ids run side
 * by side. A model that is absent has no row.
 */
export class ModelTable {
  readonly #options: ModelTableOptions;
  readonly #rows = new Map<string, ModelRow>();
  #isClosed = false;

  constructor(options: ModelTableOptions) {
    this.#options = options;
  }

  get rows(): readonly ModelRow[] {
    return [...this.#rows.values()];
  }

  get ready(): readonly ServedModel[] {
    return this.rows.flatMap(({ state }) => (state.kind === 'ready' ? [state.model] : []));
  }

  row(id: string): ModelRow | null {
    return this.#rows.get(this.#canonical(id)) ?? null;
  }

  #canonical(id: string): string {
    return this.#options.canonical?.(id) ?? id;
  }

  /** A model that can answer now; throws why it cannot. */
  serve(id: string): ServedModel {
    if (this.#isClosed) throw new CortexError('shutting_down', {});
    const state = this.row(id)?.state;
    if (!state) throw new CortexError('model_not_found', { model: id, available: this.ready.map((model) => model.id) });
    if (state.kind === 'ready') return state.model;
    if (state.kind === 'failed')
      throw new CortexError('model_failed', { model: id, reason: state.error.message }, { cause: state.error });
    throw new CortexError('model_not_ready', { model: id, status: state.kind, retryAfterSeconds: 2 });
  }

  /** Loads a model or joins its load; `already` when it was loaded before. A failed model is loaded anew. */
  async load(spec: ModelSpec): Promise<{ readonly already: boolean }> {
    for (;;) {
      if (this.#isClosed) throw new CortexError('shutting_down', {});
      const row = this.#rows.get(spec.id);
      if (!row) break;
      if (row.state.kind === 'unloading') await row.state.done;
      else if (row.state.kind === 'failed') await this.unload(spec.id);
      else {
        refuseOther(row.spec, spec);
        if (row.state.kind === 'ready') return { already: true };
        await row.state.done;
        return { already: false };
      }
    }
    const abort = new AbortController();
    const progress = { bytes: 0, totalBytes: 0 };
    const done = this.#open(spec, abort.signal);
    this.#rows.set(spec.id, { spec, state: { kind: 'loading', progress, done, abort } });
    await done;
    return { already: false };
  }

  /** Ends a model's generations and frees it; a load under way is given up. */
  async unload(name: string): Promise<void> {
    const id = this.#canonical(name);
    const row = this.#rows.get(id);
    if (!row) throw new CortexError('model_not_found', { model: id });
    const { state } = row;
    if (state.kind === 'unloading') return await state.done;
    if (state.kind === 'loading') {
      state.abort.abort(
        new CortexError('request_cancelled', { reason: `model '${id}' was unloaded while it was loading` }),
      );
      // The load's own failure is its caller's to hear; here only its end counts.
      await state.done.catch(() => undefined);
      if (this.#rows.get(id)?.state.kind === 'failed') this.#rows.delete(id);
      return;
    }
    const done = this.#close(row.spec, state.model);
    this.#rows.set(id, { spec: row.spec, state: { kind: 'unloading', done } });
    await done;
  }

  /**
   * Refuses everything from now on, gives up loads, waits for generations under way until the deadline, then frees all
   * models; what still runs ends with `shutting_down`.
   */
  async close(drainMs: number): Promise<void> {
    this.#isClosed = true;
    const { clock, log } = this.#options;
    await Promise.all([
      this.#drain(clock, drainMs),
      ...this.rows.filter(({ state }) => state.kind === 'loading').map(({ spec }) => this.#end(spec.id)),
    ]);
    await Promise.all(this.rows.map(({ spec }) => this.#end(spec.id)));
    log.info('all models are freed');
  }

  async #drain(clock: Clock, drainMs: number): Promise<void> {
    let cancel = () => {};
    const deadline = new Promise<void>((resolve) => {
      cancel = clock.after(drainMs, resolve);
    });
    await Promise.race([deadline, Promise.all(this.ready.map((model) => model.engine.idle()))]);
    cancel();
  }

  /** Unloads within a bound: a wedged device must not hold up the end of the process. */
  async #end(id: string): Promise<void> {
    const { clock, log } = this.#options;
    let cancel = () => {};
    const late = new Promise<'late'>((resolve) => {
      cancel = clock.after(unloadMs, () => resolve('late'));
    });
    try {
      if ((await Promise.race([this.unload(id), late])) === 'late')
        log.error({ model: id }, 'model was given up at its deadline');
    } catch (error) {
      log.error({ model: id, err: error }, 'model did not close');
    } finally {
      cancel();
    }
  }

  async #open(spec: ModelSpec, signal: AbortSignal): Promise<void> {
    const { open, clock, log } = this.#options;
    const startedMs = clock.now();
    // The row must stand before anything of the load can report to it.
    await Promise.resolve();
    const update = (state: ModelState) => this.#rows.set(spec.id, { spec, state });
    try {
      const model = await open(spec, {
        signal,
        onProgress: (progress) => {
          const state = this.#rows.get(spec.id)?.state;
          if (state?.kind === 'loading') update({ ...state, progress });
        },
        onFailed: (error) => {
          log.error({ model: spec.id, err: error }, 'model failed');
          const state = this.#rows.get(spec.id)?.state;
          if (state?.kind === 'ready') update({ kind: 'failed', error, model: state.model });
        },
      });
      if (signal.aborted) {
        await model.close();
        throw signal.reason;
      }
      update({ kind: 'ready', model });
      log.info(
        { model: spec.id, load_ms: Math.round(clock.now() - startedMs), notes: model.facts.notes },
        'model loaded',
      );
    } catch (cause) {
      const error = CortexError.isInstance(cause)
        ? cause
        : new CortexError('internal_error', { reason: `model '${spec.id}' could not be loaded` }, { cause });
      update({ kind: 'failed', error, model: null });
      log.error({ model: spec.id, err: error }, 'model not loaded');
      throw error;
    }
  }

  async #close(spec: ModelSpec, model: ServedModel | null): Promise<void> {
    try {
      await model?.close();
      this.#options.log.info({ model: spec.id }, 'model unloaded');
    } finally {
      this.#rows.delete(spec.id);
    }
  }
}

function refuseOther(have: ModelSpec, want: ModelSpec): void {
  const text = (spec: ModelSpec) =>
    `${spec.tensorParallel} ranks on '${spec.device}'${spec.quant ? ` as '${spec.quant}'` : ''}`;
  if (text(have) === text(want) && have.path === want.path) return;
  throw new CortexError('model_spec_conflict', { model: want.id, have: text(have), want: text(want) });
}
