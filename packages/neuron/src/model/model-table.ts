import { type Clock, CortexError, formatEpoch } from '@helexa/core';
import type { Logger } from 'pino';
import { DeviceRecovery, type FaultReport } from './device-recovery.js';
import { JobBoard } from './job-board.js';
import { LoadJob } from './load-job.js';
import type { ModelRow, ModelSpec, ModelState, OpenHooks, UnloadManner } from './model-state.js';
import type { RestartBudget } from './restart-budget.js';
import type { ServedModel } from './served-model.js';
import { freeMs, within } from './within.js';

export interface ModelTableOptions {
  readonly open: (spec: ModelSpec, hooks: OpenHooks) => Promise<ServedModel>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly newJobId: () => string;
  /** Differs for every process. */
  readonly process: string;
  /** The one spelling of an id; as it is when absent. */
  readonly canonical?: (id: string) => string;
  /** Makes a backend anew whose device failed; absent: its models are loaded again on it as it is. */
  readonly rebuild?: (backend: string) => Promise<void>;
  readonly restarts?: RestartBudget;
}

const atOnce: UnloadManner = { waitMs: 0, isForced: true };

/**
 * The models of this neuron: one writer of every model's state. Loads of one id are joined, loads of different ids run side
 * by side. A model that is absent has no row.
 */
export class ModelTable {
  readonly #options: ModelTableOptions;
  readonly #rows = new Map<string, ModelRow>();
  readonly #jobs = new JobBoard();
  readonly #recovery: DeviceRecovery;
  #changes = 0;
  #isClosed = false;

  constructor(options: ModelTableOptions) {
    this.#options = options;
    this.#recovery = new DeviceRecovery({
      clock: options.clock,
      log: options.log,
      rebuild: options.rebuild,
      budget: options.restarts,
      host: {
        rows: () => this.rows,
        set: (spec, state) => this.#set(spec, state),
        newJob: (model) => this.#newJob(model),
        isAt: (spec, job) => this.#isAt(spec, job),
        open: (spec, job) => this.#open(spec, job),
      },
    });
  }

  get rows(): readonly ModelRow[] {
    return [...this.#rows.values()];
  }

  get ready(): readonly ServedModel[] {
    return this.rows.flatMap(({ state }) => (state.kind === 'ready' ? [state.model] : []));
  }

  /** Whether nothing new is taken any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  get jobs(): Pick<JobBoard, 'jobs' | 'get'> {
    return this.#jobs;
  }

  /** The last fault of each device that had one. */
  get faults(): readonly FaultReport[] {
    return this.#recovery.reports;
  }

  /** Differs after every load that begins and every model that begins to leave. */
  get epoch(): string {
    return formatEpoch(this.#options.process, this.#changes);
  }

  #refuseStale(epoch: string | undefined): void {
    if (epoch !== undefined && epoch !== this.epoch) {
      throw new CortexError('epoch_stale', { have: this.epoch, want: epoch });
    }
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
    if (state.kind === 'failed' || state.kind === 'stuck')
      throw new CortexError('model_failed', { model: id, reason: state.error.message }, { cause: state.error });
    throw new CortexError('model_not_ready', { model: id, status: state.kind, retryAfterSeconds: 2 });
  }

  /** Loads a model or joins its load, and waits for it; `already` when it was loaded before. */
  async load(spec: ModelSpec): Promise<{ readonly already: boolean }> {
    const job = await this.start(spec);
    await job?.outcome();
    return { already: job === null };
  }

  /**
   * Begins to load a model or joins its load; null when it is loaded. A failed model is loaded anew. With an epoch that has passed
   * nothing is begun; what is there already is joined all the same.
   */
  async start(spec: ModelSpec, epoch?: string): Promise<LoadJob | null> {
    let expected = epoch;
    for (;;) {
      if (this.#isClosed) throw new CortexError('shutting_down', {});
      const row = this.#rows.get(spec.id);
      if (!row) break;
      const { state } = row;
      switch (state.kind) {
        case 'unloading':
          // Its own caller hears how that ends; here it is only over, and the row is looked at again.
          await state.done.catch(() => undefined);
          break;
        case 'failed': {
          this.#refuseStale(expected);
          this.#recovery.forgive(spec.id);
          const made = await this.unload(spec.id, atOnce);
          if (expected !== undefined) expected = made;
          break;
        }
        case 'stuck':
          throw state.error;
        case 'ready':
          refuseOther({ ...row.spec, devices: state.model.facts.devices }, spec);
          return null;
        default:
          refuseOther(row.spec, spec);
          return state.job;
      }
    }
    // From the last look at the rows to here nothing waits: two callers cannot both get here.
    this.#refuseStale(expected);
    this.#changes += 1;
    const job = this.#newJob(spec.id);
    this.#set(spec, { kind: 'loading', job });
    void this.#openFirst(spec, job);
    return job;
  }

  /**
   * Frees a model; a load under way is given up. Ends within a bound: with `unload_stalled` when the device does not let go.
   * Gives the epoch that this made: whoever else changed something meanwhile made a later one.
   */
  async unload(name: string, manner: UnloadManner = atOnce): Promise<string> {
    const id = this.#canonical(name);
    const row = this.#rows.get(id);
    if (!row) throw new CortexError('model_not_found', { model: id });
    const { spec, state } = row;
    this.#refuseStale(manner.epoch);
    if (state.kind === 'stuck') throw state.error;
    if (state.kind === 'ready') refuseBusy(state.model, manner.waitMs > 0 || manner.isForced);
    if (state.kind !== 'unloading') this.#changes += 1;
    const { epoch } = this;
    switch (state.kind) {
      case 'unloading':
        await state.done;
        break;
      case 'loading':
      case 'recovering':
        await this.#giveUp(row, state.job);
        break;
      case 'failed':
        await this.#leave(spec, this.#free(spec, state.model));
        break;
      case 'ready':
        await this.#leave(spec, this.#drainAndFree(spec, state.model, manner));
    }
    return epoch;
  }

  /** Gives up a load and waits for its end, within the bound; a load that has ended stays as it is. */
  async cancel(job: LoadJob): Promise<void> {
    const row = this.#rows.get(job.model);
    if (!row || !this.#isAt(row.spec, job)) return;
    this.#changes += 1;
    await this.#giveUp(row, job);
  }

  /**
   * Refuses everything from now on, also what waits, gives up loads, waits for generations under way until the deadline, then
   * frees all models; what still runs ends with `shutting_down`.
   */
  async close(drainMs: number): Promise<void> {
    this.#isClosed = true;
    const { clock, log } = this.#options;
    const isLoad = ({ state }: ModelRow) => state.kind === 'loading' || state.kind === 'recovering';
    await Promise.all([
      within(clock, drainMs, Promise.all(this.ready.map((model) => model.engine.drain()))),
      ...this.rows.filter(isLoad).map(({ spec }) => this.#endLogged(spec.id)),
    ]);
    await Promise.all(this.rows.map(({ spec }) => this.#endLogged(spec.id)));
    log.info('all models are freed');
  }

  async #endLogged(id: string): Promise<void> {
    try {
      await this.unload(id, atOnce);
    } catch (error) {
      this.#options.log.error({ model: id, err: error }, 'model did not close');
    }
  }

  #newJob(model: string): LoadJob {
    const job = new LoadJob({ id: this.#options.newJobId(), model, clock: this.#options.clock });
    this.#jobs.add(job);
    return job;
  }

  #set(spec: ModelSpec, state: ModelState): void {
    this.#rows.set(spec.id, { spec, state });
  }

  /** Whether the row of a model is still in the care of this job. */
  #isAt(spec: ModelSpec, job: LoadJob): boolean {
    const state = this.#rows.get(spec.id)?.state;
    return (state?.kind === 'loading' || state?.kind === 'recovering') && state.job === job;
  }

  /** Runs the load that somebody asked for. */
  async #openFirst(spec: ModelSpec, job: LoadJob): Promise<void> {
    const error = await this.#open(spec, job);
    if (error === null) return;
    if (!this.#isAt(spec, job)) return job.end(error);
    const { backend } = job;
    const mayRecover = !job.signal.aborted && !this.#isClosed && backend !== null;
    if (!(mayRecover && this.#recovery.take(spec, null, backend, error)))
      this.#set(spec, { kind: 'failed', error, model: null });
    job.end(error);
  }

  /** Opens a model for a job. A failure is returned: the row and the end of the job are the caller's then. */
  async #open(spec: ModelSpec, job: LoadJob): Promise<CortexError | null> {
    const { open, log } = this.#options;
    try {
      const model = await open(spec, {
        signal: job.signal,
        onBackend: (name) => {
          job.backend = name;
        },
        onPhase: (phase) => job.enter(phase),
        onProgress: (progress) => job.report(progress),
        onFailed: (error) => this.#onFailed(spec, error),
      });
      if (job.signal.aborted || !this.#isAt(spec, job)) {
        await model.close();
        throw job.signal.reason;
      }
      this.#set(spec, { kind: 'ready', model });
      job.end(null);
      log.info({ model: spec.id, job: job.id, load: job.view().phases, notes: model.facts.notes }, 'model loaded');
      return null;
    } catch (cause) {
      const error = CortexError.isInstance(cause)
        ? cause
        : new CortexError('internal_error', { reason: `model '${spec.id}' could not be loaded` }, { cause });
      log.error({ model: spec.id, job: job.id, err: error }, 'model not loaded');
      return error;
    }
  }

  /** The device of a model in service failed under it. */
  #onFailed(spec: ModelSpec, error: CortexError): void {
    const state = this.#rows.get(spec.id)?.state;
    if (state?.kind !== 'ready') return;
    const { model } = state;
    if (!this.#isClosed && this.#recovery.take(spec, model, model.facts.backend, error)) return;
    this.#options.log.error({ model: spec.id, err: error }, 'model failed');
    this.#set(spec, { kind: 'failed', error, model });
  }

  async #giveUp({ spec, state }: ModelRow, job: LoadJob): Promise<void> {
    const { clock } = this.#options;
    job.cancel(`model '${spec.id}' was unloaded while its status was '${state.kind}'`);
    // The load's own failure is its callers' to hear; here only its end counts.
    const ended = job.outcome().catch(() => undefined);
    if ((await within(clock, freeMs, ended)) === 'late') {
      if (this.#isAt(spec, job)) throw this.#stick(spec, ended);
      return;
    }
    const now = this.#rows.get(spec.id)?.state;
    if (now?.kind === 'failed' || this.#isAt(spec, job)) this.#rows.delete(spec.id);
  }

  /** Marks a row as unloading while `done` runs. */
  async #leave(spec: ModelSpec, done: Promise<void>): Promise<void> {
    this.#set(spec, { kind: 'unloading', done });
    await done;
  }

  async #drainAndFree(spec: ModelSpec, model: ServedModel, { waitMs, isForced }: UnloadManner): Promise<void> {
    // The row says 'unloading' before anything can fail.
    await Promise.resolve();
    if (waitMs > 0) await within(this.#options.clock, waitMs, model.engine.idle());
    try {
      refuseBusy(model, isForced);
    } catch (error) {
      this.#set(spec, { kind: 'ready', model });
      throw error;
    }
    await this.#free(spec, model);
  }

  /** Frees a model within the bound and takes its row away; what does not let go stays as `stuck` until it does. */
  async #free(spec: ModelSpec, model: ServedModel | null): Promise<void> {
    const { clock, log } = this.#options;
    await Promise.resolve();
    try {
      const closing = model?.close() ?? Promise.resolve();
      if ((await within(clock, freeMs, closing)) === 'late') throw this.#stick(spec, closing);
      log.info({ model: spec.id }, 'model unloaded');
    } finally {
      if (this.#rows.get(spec.id)?.state.kind === 'unloading') this.#rows.delete(spec.id);
    }
  }

  /** Notes that a model holds its device beyond the bound; its row goes away when it lets go after all. */
  #stick(spec: ModelSpec, end: Promise<unknown>): CortexError {
    const { log } = this.#options;
    const error = new CortexError('unload_stalled', { model: spec.id, timeoutMs: freeMs });
    this.#set(spec, { kind: 'stuck', error });
    log.error({ model: spec.id, err: error }, 'model did not let go of its device');
    const release = (): void => {
      const state = this.#rows.get(spec.id)?.state;
      if (state?.kind !== 'stuck' || state.error !== error) return;
      this.#rows.delete(spec.id);
      log.info({ model: spec.id }, 'model has let go of its device after all');
    };
    end.then(release, release);
    return error;
  }
}

function refuseBusy(model: ServedModel, isAllowed: boolean): void {
  const { running, waiting } = model.engine.load;
  if (running + waiting > 0 && !isAllowed)
    throw new CortexError('model_in_use', { model: model.id, inFlight: running + waiting });
}

/** Refuses another shape of a model that is here; where either side leaves the devices open, any will do. */
function refuseOther(have: ModelSpec, want: ModelSpec): void {
  const isOpen = !have.devices || !want.devices;
  const placeOf = ({ device, devices }: ModelSpec) => `'${device}'${isOpen ? '' : ` [${devices?.join(', ')}]`}`;
  const text = (spec: ModelSpec) =>
    `${spec.tensorParallel} ranks on ${placeOf(spec)}${spec.quant ? ` as '${spec.quant}'` : ''}`;
  if (text(have) === text(want) && have.path === want.path) return;
  throw new CortexError('model_spec_conflict', { model: want.id, have: text(have), want: text(want) });
}
