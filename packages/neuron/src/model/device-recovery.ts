import { type Clock, CortexError } from '@helexa/core';
import type { Logger } from 'pino';
import { type FaultScope, faultScope } from './device-fault.js';
import type { LoadJob } from './load-job.js';
import type { ModelRow, ModelSpec, ModelState } from './model-state.js';
import { RestartBudget } from './restart-budget.js';
import type { ServedModel } from './served-model.js';
import { freeMs, within } from './within.js';

/** What recovery asks of the table, which stays the one writer of every row. */
export interface RecoveryHost {
  readonly rows: () => readonly ModelRow[];
  readonly set: (spec: ModelSpec, state: ModelState) => void;
  readonly newJob: (model: string) => LoadJob;
  /** Whether the row is still in the care of this job. */
  readonly isAt: (spec: ModelSpec, job: LoadJob) => boolean;
  /** Opens a model for a job. A failure is returned: the row and the end of the job are the caller's then. */
  readonly open: (spec: ModelSpec, job: LoadJob) => Promise<CortexError | null>;
}

export interface RecoveryOptions {
  readonly host: RecoveryHost;
  readonly clock: Clock;
  readonly log: Logger;
  /** Makes a backend anew whose device failed; absent: its models are loaded again on it as it is. */
  readonly rebuild?: ((backend: string) => Promise<void>) | undefined;
  readonly budget?: RestartBudget | undefined;
}

/** A model that waits for its device. */
interface Lost {
  readonly spec: ModelSpec;
  readonly job: LoadJob;
  /** What is left of it on the device. */
  readonly model: ServedModel | null;
  readonly error: CortexError;
}

/** What was restarted of late, for people and monitors. */
export interface FaultReport {
  readonly backend: string;
  readonly reason: string;
  readonly atMs: number;
  readonly restarts: number;
  readonly state: 'recovering' | 'recovered' | 'failed';
}

/**
 * Brings models back whose device failed: frees them, makes the device anew where that is known how, and loads the same models
 * again. One recovery at a time for each device; a fault that returns too often leaves its models `failed` with the reason.
 */
export class DeviceRecovery {
  readonly #options: RecoveryOptions;
  readonly #budget: RestartBudget;
  /** Models of each recovery under way that wait for its next round. */
  readonly #queues = new Map<string, Lost[]>();
  /** What was given up, by model: an operator who loads it again begins anew. */
  readonly #givenUp = new Map<string, string>();
  readonly #reports = new Map<string, FaultReport>();

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#budget = options.budget ?? new RestartBudget();
  }

  /** The last fault of each device that had one. */
  get reports(): readonly FaultReport[] {
    const nowMs = this.#options.clock.now();
    return [...this.#reports.values()].map((report) => ({
      ...report,
      restarts: this.#budget.count(deviceKey(report.backend), nowMs),
    }));
  }

  /** An operator asks for a model that was given up: restarts are counted anew. */
  forgive(model: string): void {
    const key = this.#givenUp.get(model);
    if (key !== undefined) this.#budget.forget(key);
    this.#givenUp.delete(model);
  }

  /**
   * Takes a model over whose device failed, in service or while it was loaded, and with it all others of a device that is lost;
   * false when the failure is no fault of a device.
   */
  take(spec: ModelSpec, model: ServedModel | null, backend: string, error: CortexError): boolean {
    const scope = this.#scopeOf(error, backend);
    if (scope === 'none') return false;
    const { host, log } = this.#options;
    const key = scope === 'device' ? deviceKey(backend) : modelKey(spec.id);
    log.error({ model: spec.id, backend, scope, err: error }, 'device fault');
    const isRunning = this.#queues.has(key);
    const queue = this.#queues.get(key) ?? [];
    this.#queues.set(key, queue);
    queue.push(this.#lose(spec, model, error));
    if (scope === 'device') {
      this.#report(backend, error, 'recovering');
      for (const { spec: other, state } of host.rows())
        if (state.kind === 'ready' && state.model.facts.backend === backend)
          queue.push(this.#lose(other, state.model, error));
    }
    if (!isRunning) void this.#run(key, scope === 'device' ? backend : null, queue);
    return true;
  }

  /** A device that is being made anew takes what is on it along. */
  #scopeOf(error: CortexError, backend: string): FaultScope {
    const scope = faultScope(error);
    const isTakenAlong = error.code === 'disposed' && this.#queues.has(deviceKey(backend));
    return isTakenAlong ? 'device' : scope;
  }

  #lose(spec: ModelSpec, model: ServedModel | null, error: CortexError): Lost {
    const { host } = this.#options;
    const job = host.newJob(spec.id);
    host.set(spec, { kind: 'recovering', job, error });
    return { spec, model, job, error };
  }

  async #run(key: string, backend: string | null, queue: Lost[]): Promise<void> {
    const { clock } = this.#options;
    let failure: CortexError | null = null;
    while (queue.length > 0) {
      const lost = queue.splice(0);
      if (!this.#budget.take(key, clock.now())) {
        failure = lost[0]!.error;
        for (const each of lost) this.#exhaust(key, each);
        continue;
      }
      failure = await this.#makeAnew(backend, lost);
      if (failure) for (const each of lost) this.#fail(each, failure);
      else for (const each of lost) await this.#reopen(each, backend, queue);
    }
    this.#queues.delete(key);
    if (backend !== null) this.#report(backend, failure, failure ? 'failed' : 'recovered');
  }

  /** Frees what lies on the device and makes the device anew; gives what went wrong with that. */
  async #makeAnew(backend: string | null, lost: readonly Lost[]): Promise<CortexError | null> {
    const { clock, log, rebuild } = this.#options;
    await Promise.all(
      lost.map(async ({ spec, model }) => {
        try {
          if (model && (await within(clock, freeMs, model.close())) === 'late')
            log.error({ model: spec.id }, 'model is abandoned: its device does not let go of it');
        } catch (cause) {
          log.warn({ model: spec.id, err: cause }, 'model on a failed device did not close');
        }
      }),
    );
    if (backend === null || !rebuild) return null;
    try {
      await rebuild(backend);
      log.warn({ backend }, 'device was made anew');
      return null;
    } catch (cause) {
      log.error({ backend, err: cause }, 'device could not be made anew');
      if (CortexError.isInstance(cause)) return cause;
      return new CortexError('backend_unavailable', { backend, reason: String(cause) }, { cause });
    }
  }

  async #reopen(lost: Lost, backend: string | null, queue: Lost[]): Promise<void> {
    const { host } = this.#options;
    const { spec, job } = lost;
    if (job.signal.aborted) return job.end(job.signal.reason);
    if (queue.length > 0) {
      // The device failed again meanwhile: wait for the next round.
      queue.push({ ...lost, model: null });
      return;
    }
    const error = await host.open(spec, job);
    if (error === null) return;
    const scope = job.signal.aborted || !host.isAt(spec, job) ? 'none' : faultScope(error);
    if (scope === 'none' || (scope === 'device' && backend === null))
      return this.#fail({ ...lost, model: null }, error);
    queue.push(this.#lose(spec, null, error));
    job.end(error);
  }

  #exhaust(key: string, lost: Lost): void {
    const { restarts, windowMs } = this.#budget.limits;
    this.#givenUp.set(lost.spec.id, key);
    const details = { model: lost.spec.id, restarts, windowMs, reason: lost.error.message };
    this.#fail(lost, new CortexError('restarts_exhausted', details, { cause: lost.error }));
  }

  #fail({ spec, job, model }: Lost, error: CortexError): void {
    const { host, log } = this.#options;
    if (host.isAt(spec, job)) host.set(spec, { kind: 'failed', error, model });
    job.end(error);
    log.error({ model: spec.id, err: error }, 'model is given up');
  }

  #report(backend: string, error: CortexError | null, state: FaultReport['state']): void {
    const { clock } = this.#options;
    const reason = error?.message ?? this.#reports.get(backend)?.reason ?? '';
    this.#reports.set(backend, { backend, reason, atMs: clock.unixMs(), restarts: 0, state });
  }
}

const deviceKey = (backend: string): string => `device:${backend}`;
const modelKey = (id: string): string => `model:${id}`;
