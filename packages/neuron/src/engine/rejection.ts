import { CortexError } from '@helexa/core';

/** Why admission turned a request away: at the door, after its wait, or because it can never fit. */
export const rejectionReasons = [
  'queue_full',
  'per_principal',
  'anon_yield',
  'timeout',
  'kv_timeout',
  'kv_unservable',
] as const;

export type RejectionReason = (typeof rejectionReasons)[number];

export interface RejectionFacts {
  readonly model: string;
  readonly waiting: number;
  readonly waitedMs: number;
  /** When another attempt is worth while, by what was measured. */
  readonly retryAfterSeconds: number;
  /** Of the key-value cache, for the request and for all. */
  readonly requiredBytes: number;
  readonly freeBytes: number;
  readonly budgetBytes: number;
}

/** The error that a rejected request ends with. */
export function rejectionError(reason: RejectionReason, facts: RejectionFacts): CortexError {
  const { model, waiting, waitedMs, retryAfterSeconds, requiredBytes, freeBytes, budgetBytes } = facts;
  switch (reason) {
    case 'queue_full':
      return new CortexError('engine_queue_full', { model, waiting, retryAfterSeconds });
    case 'per_principal': {
      const what = `its caller has as many requests at model '${model}' as its share allows; fewer at once are wanted`;
      return new CortexError('rate_limit_exceeded', { reason: what, retryAfterSeconds });
    }
    case 'anon_yield':
      return new CortexError('anonymous_yield', { model, retryAfterSeconds });
    case 'timeout':
      return new CortexError('queue_timeout', { model, waitedMs, retryAfterSeconds });
    case 'kv_timeout':
      return new CortexError('insufficient_memory', { requiredBytes, freeBytes, retryAfterSeconds });
    case 'kv_unservable':
      return new CortexError('prompt_too_long_for_memory', { requiredBytes, budgetBytes });
  }
}
