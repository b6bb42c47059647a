import { CortexError } from '@helexa/core';
import type { Principal } from '../keys/key-ring.js';

/** Tokens set aside for one request. Settled once, with what was seen of it; what comes after that changes nothing. */
export interface Reservation {
  settle(tokens: number): void;
}

/** What one request may use. */
export interface Estimate {
  /** Set aside while it runs. */
  readonly most: number;
  /** Charged when its gateway dies before it is settled. */
  readonly least: number;
}

/** What a key has used in its window, and has set aside. */
export interface KeyUsage {
  readonly spent: number;
  readonly reserved: number;
  /** Start of the window, in milliseconds since 1970. */
  readonly windowStartMs: number;
}

/** What each key has used. A reservation is a test and a sum in one step, whoever else reserves at the same time. */
export interface Ledger {
  /** Takes up what was kept; a store that cannot be used is fatal, one that does not answer yet is not. */
  open(): Promise<void>;
  /** Counts one request against the rate of a key; rejects when it comes too soon. */
  admit(principal: Principal): Promise<void>;
  /** Sets tokens aside; rejects when the budget does not hold as many, or cannot be asked. */
  reserve(principal: Principal, estimate: Estimate): Promise<Reservation>;
  usage(principal: Principal): Promise<KeyUsage>;
  /** False while a shared store does not answer. */
  readonly isReachable: boolean;
  /** Settles when everything noted is kept. */
  close(): Promise<void>;
}

/** A request that has to wait for its rate. */
export const tooSoon = (requestsPerMinute: number, waitMs: number): CortexError =>
  new CortexError('rate_limit_exceeded', {
    reason: `this key may make ${requestsPerMinute} requests in a minute`,
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
  });

/** A request that the budget does not hold; whether a wait helps depends on the window. */
export const overBudget = (
  { windowSeconds }: Principal,
  { wanted, available, elapsedMs }: { readonly wanted: number; readonly available: number; readonly elapsedMs: number },
): CortexError => {
  const left = Math.max(0, available);
  if (windowSeconds === undefined) return new CortexError('insufficient_quota', { requested: wanted, available: left });
  return new CortexError('rate_limit_exceeded', {
    reason: `it may use ${wanted} tokens, and ${left} are left of the budget for ${windowSeconds} s`,
    retryAfterSeconds: Math.max(1, Math.ceil(windowSeconds - elapsedMs / 1000)),
  });
};
