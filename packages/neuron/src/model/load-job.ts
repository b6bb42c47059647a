import { type Clock, CortexError, type LoadJobView } from '@helexa/core';
import { TransferRate } from './transfer-rate.js';

/** Steps of a load, in their order; `downloading` and `quantising` only where there is something to. */
export type LoadPhase = 'resolving' | 'downloading' | 'quantising' | 'uploading' | 'warming' | 'ready';

/** Bytes of a phase that are done. */
export interface LoadProgress {
  readonly bytes: number;
  readonly totalBytes: number;
}

interface PastPhase {
  readonly phase: LoadPhase;
  readonly startedMs: number;
  readonly bytes: number;
}

export interface LoadJobOptions {
  readonly id: string;
  readonly model: string;
  readonly clock: Clock;
}

/**
 * One load on its way, for any number of watchers. It ends once: loaded, failed or cancelled; whoever runs the load says so by
 * `end`.
 */
export class LoadJob {
  readonly id: string;
  readonly model: string;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #startedUnixMs: number;
  readonly #abort = new AbortController();
  readonly #outcome: Promise<void>;
  /** Name of the backend, once it is chosen. */
  backend: string | null = null;
  #settle: (error: CortexError | null) => void = () => {};
  #past: PastPhase[] = [];
  #current: PastPhase;
  #progress: LoadProgress = { bytes: 0, totalBytes: 0 };
  #rate = new TransferRate();
  #end: { readonly atMs: number; readonly error: CortexError | null } | null = null;
  #watchers: (() => void)[] = [];

  constructor({ id, model, clock }: LoadJobOptions) {
    this.id = id;
    this.model = model;
    this.#clock = clock;
    this.#startedMs = clock.now();
    this.#startedUnixMs = clock.unixMs();
    this.#current = { phase: 'resolving', startedMs: this.#startedMs, bytes: 0 };
    this.#outcome = new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve());
    });
    // Nobody may be waiting: a failure stands in the job and in the log all the same.
    this.#outcome.catch(() => undefined);
  }

  /** Fires when the load is to be given up. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get isEnded(): boolean {
    return this.#end !== null;
  }

  /** Why it failed or was cancelled; null before its end and when it is loaded. */
  get error(): CortexError | null {
    return this.#end?.error ?? null;
  }

  /** Settles with the load; rejects with why it failed. */
  outcome(): Promise<void> {
    return this.#outcome;
  }

  /** Begins a phase; bytes are counted anew in it. */
  enter(phase: LoadPhase): void {
    if (this.#end || phase === this.#current.phase) return;
    this.#past = [...this.#past, { ...this.#current, bytes: this.#progress.bytes }];
    this.#current = { phase, startedMs: this.#clock.now(), bytes: 0 };
    this.#progress = { bytes: 0, totalBytes: 0 };
    this.#rate = new TransferRate();
    this.#announce();
  }

  report(progress: LoadProgress): void {
    if (this.#end) return;
    this.#progress = progress;
    this.#rate.add(this.#clock.now(), progress.bytes);
    this.#announce();
  }

  /** Asks the load to stop; it is over when `outcome` settles. */
  cancel(reason: string): void {
    if (!this.#end) this.#abort.abort(new CortexError('request_cancelled', { reason }));
  }

  /** Ends the job once: with an error, or as loaded. */
  end(error: CortexError | null): void {
    if (this.#end) return;
    if (!error) this.enter('ready');
    this.#end = { atMs: this.#clock.now(), error };
    this.#settle(error);
    this.#announce();
  }

  /** Settles when the job has changed after this call. */
  nextChange(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }

  /** As it is told to callers. */
  view(): LoadJobView {
    const nowMs = this.#end?.atMs ?? this.#clock.now();
    const { bytes, totalBytes } = this.#progress;
    const rate = this.#end ? null : this.#rate.perSecond(nowMs);
    const { error } = this;
    const phases = [...this.#past, { ...this.#current, bytes }];
    return {
      id: this.id,
      model_id: this.model,
      backend: this.backend,
      state: this.#stateOf(),
      phase: this.#current.phase,
      bytes,
      total_bytes: totalBytes,
      bytes_per_second: rate === null ? null : Math.round(rate),
      eta_seconds: rate === null ? null : Math.ceil(Math.max(0, totalBytes - bytes) / rate),
      started_at: Math.floor(this.#startedUnixMs / 1000),
      elapsed_ms: Math.round(nowMs - this.#startedMs),
      phases: phases.map(({ phase, startedMs, bytes: done }, index) => ({
        phase,
        ms: Math.round((phases[index + 1]?.startedMs ?? nowMs) - startedMs),
        bytes: done,
      })),
      ...(error ? { error: { code: error.code, message: error.message } } : {}),
    };
  }

  #stateOf(): LoadJobView['state'] {
    if (!this.#end) return 'running';
    if (!this.#end.error) return 'loaded';
    return this.#abort.signal.aborted && this.#end.error === this.#abort.signal.reason ? 'cancelled' : 'failed';
  }

  #announce(): void {
    for (const wake of this.#watchers.splice(0)) wake();
  }
}
