/** What the operator may say about admission; absent is decided by `decideAdmission`. */
export interface RequestedAdmission {
  readonly maxWaiting?: number | undefined;
  readonly maxWaitMs?: number | undefined;
  readonly maxKvWaitMs?: number | undefined;
  readonly maxPerPrincipal?: number | undefined;
  readonly anonMaxRunning?: number | undefined;
  readonly anonMaxPending?: number | undefined;
}

/** Who may come in and how long they wait. Everything counts sequences: a request has as many as it has choices. */
export interface AdmissionLimits {
  /** Those that run at once. */
  readonly seats: number;
  /** Those that may wait beyond the seats. */
  readonly maxWaiting: number;
  /** Longest wait while every seat is taken. */
  readonly maxWaitMs: number;
  /** Longest wait while a seat is free and pages are not. */
  readonly maxKvWaitMs: number;
  /** Running and waiting ones of one principal; 0: only the fair share bounds them. */
  readonly maxPerPrincipal: number;
  /** Seats that callers without a principal may have; 0 refuses them. */
  readonly anonMaxRunning: number;
  /** Running and waiting ones without a principal. */
  readonly anonMaxPending: number;
}

const waitingPerSeat = 32;

/** Callers without a principal leave one seat and one place in the queue to those with one, where there is more than one. */
export function decideAdmission(requested: RequestedAdmission, seats: number): AdmissionLimits {
  const maxWaiting = requested.maxWaiting ?? waitingPerSeat * seats;
  return {
    seats,
    maxWaiting,
    maxWaitMs: requested.maxWaitMs ?? 30_000,
    maxKvWaitMs: requested.maxKvWaitMs ?? 240_000,
    maxPerPrincipal: requested.maxPerPrincipal ?? 0,
    anonMaxRunning: requested.anonMaxRunning ?? Math.max(1, seats - 1),
    anonMaxPending: requested.anonMaxPending ?? Math.max(1, seats + maxWaiting - 1),
  };
}
