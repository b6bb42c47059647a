import type { CortexError } from '@helexa/core';
import type { AdmissionLimits } from './admission-limits.js';
import { AdmissionQueue } from './admission-queue.js';
import type { EngineEffects } from './effects.js';
import type { Flight, Sequence } from './flight.js';
import { MovingAverage } from './moving-average.js';
import { type RejectionReason, rejectionError, rejectionReasons } from './rejection.js';

/** What a request needs of the key-value cache, and what there is. */
export interface CacheBudget {
  readonly requiredBytes: number;
  readonly freeBytes: number;
  readonly budgetBytes: number;
}

export interface AdmissionOptions {
  /** Name in errors. */
  readonly modelId: string;
  readonly limits: AdmissionLimits;
  readonly effects: Pick<EngineEffects, 'nowMs' | 'after' | 'onRejected'>;
  readonly budgetOf: (flight: Flight) => CacheBudget;
  /** A request waited for too long: it must `leave`. */
  readonly onExpired: (flight: Flight, error: CortexError) => void;
}

export interface AdmissionLoad {
  readonly waiting: number;
  readonly anonymousRunning: number;
  readonly limits: AdmissionLimits;
  /** Requests turned away, since the model was loaded. */
  readonly rejections: Readonly<Record<RejectionReason, number>>;
}

/** Before the first request has ended: seconds that a seat is assumed to be held for. */
const assumedSecondsPerRequest = 2;
const longestRetrySeconds = 120;
/** Share of the longest wait that a newcomer may have before it, as measured: an estimate, and others may go first. */
const expectedShare = 0.5;
/** Weight of one ended request in the measured service time. */
const serviceWeight = 0.2;

/**
 * The door of an engine: turns away who cannot be served in time, keeps the others in order until they have pages and a seat,
 * and ends waits at their deadline. How long a seat is held is measured; it says when another attempt is worth while.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #queue: AdmissionQueue<Sequence>;
  readonly #holdMs = new MovingAverage(serviceWeight);
  readonly #rejections = Object.fromEntries(rejectionReasons.map((reason) => [reason, 0])) as Record<
    RejectionReason,
    number
  >;
  /** Of every request none of whose choices has a seat yet: how to call off its deadline. */
  readonly #deadlines = new Map<Flight, () => void>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#queue = new AdmissionQueue(options.limits);
  }

  get load(): AdmissionLoad {
    return {
      waiting: this.#queue.waiting,
      anonymousRunning: this.#queue.anonymousRunning,
      limits: this.#options.limits,
      rejections: { ...this.#rejections },
    };
  }

  get waiting(): number {
    return this.#queue.waiting;
  }

  /** Requests that nothing of has begun. */
  get untouched(): Flight[] {
    return [...this.#deadlines.keys()];
  }

  /** Every request that waits with at least one choice. */
  get flights(): Set<Flight> {
    return new Set(this.#queue.entries.map(({ flight }) => flight));
  }

  /** Throws when so many choices of a principal cannot come in now, or would not get a seat in time. */
  knock(principal: string | null, choices: number): void {
    const { seats, maxWaitMs } = this.#options.limits;
    const refusal = this.#queue.refuse(principal, choices);
    if (refusal) throw this.#reject(refusal, null);
    const waitMs = (this.#queue.ahead(principal) * (this.#holdMs.value ?? 0)) / seats;
    if (waitMs > maxWaitMs * expectedShare) throw this.#reject('queue_full', null);
  }

  /** Counts a request that is larger than the whole cache, and gives its error. */
  refuseUnservable(budget: CacheBudget): CortexError {
    return this.#reject('kv_unservable', null, budget);
  }

  enter(flight: Flight): void {
    for (const sequence of flight.sequences) this.#queue.add(sequence);
    this.#arm(flight, this.#options.limits.maxWaitMs);
  }

  /** Gives seats to those whose turn it is, as far as `tryPlace` can; held ones are stepped over. */
  admit(isHeld: (sequence: Sequence) => boolean, tryPlace: (sequence: Sequence) => boolean): void {
    this.#queue.admit(isHeld, (sequence) => {
      if (!tryPlace(sequence)) return false;
      this.#disarm(sequence.flight);
      return true;
    });
  }

  /** Takes back the seat of a sequence that was admitted. */
  release(sequence: Sequence, usedTokens: number, heldMs: number): void {
    this.#queue.release(sequence, sequence.work - usedTokens);
    this.#holdMs.add(heldMs);
  }

  /** Takes out whatever of a request still waits. */
  leave(flight: Flight): void {
    this.#disarm(flight);
    for (const sequence of flight.sequences) this.#queue.remove(sequence);
  }

  #arm(flight: Flight, delayMs: number): void {
    this.#deadlines.set(
      flight,
      this.#options.effects.after(delayMs, () => this.#expire(flight)),
    );
  }

  #disarm(flight: Flight): void {
    this.#deadlines.get(flight)?.();
    this.#deadlines.delete(flight);
  }

  #expire(flight: Flight): void {
    const { limits, effects, onExpired } = this.#options;
    const waitedMs = effects.nowMs() - flight.submittedAtMs;
    const isSeatFree = this.#queue.running < limits.seats;
    if (!isSeatFree) onExpired(flight, this.#reject('timeout', flight));
    else if (flight.request.principal == null && this.#isWithheld)
      onExpired(flight, this.#reject('anon_yield', flight));
    else if (waitedMs < limits.maxKvWaitMs) this.#arm(flight, limits.maxKvWaitMs - waitedMs);
    else onExpired(flight, this.#reject('kv_timeout', flight));
  }

  /** Callers without a principal may have no further seat now, free or not. */
  get #isWithheld(): boolean {
    const { anonymousRunning, hasIdentifiedWaiting } = this.#queue;
    return hasIdentifiedWaiting || anonymousRunning >= this.#options.limits.anonMaxRunning;
  }

  #reject(reason: RejectionReason, flight: Flight | null, budget?: CacheBudget): CortexError {
    const { modelId: model, limits, effects, budgetOf } = this.#options;
    this.#rejections[reason] += 1;
    effects.onRejected(reason);
    const { waiting } = this.#queue;
    const holdMs = this.#holdMs.value;
    const seconds = holdMs === null ? assumedSecondsPerRequest : holdMs / limits.seats / 1000;
    return rejectionError(reason, {
      model,
      waiting,
      waitedMs: flight ? Math.round(effects.nowMs() - flight.submittedAtMs) : 0,
      retryAfterSeconds: Math.min(longestRetrySeconds, Math.max(1, Math.ceil((waiting + 1) * seconds))),
      ...(budget ?? (flight ? budgetOf(flight) : { requiredBytes: 0, freeBytes: 0, budgetBytes: 0 })),
    });
  }
}
