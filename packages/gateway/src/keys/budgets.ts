import { type Clock, CortexError } from '@helexa/core';
import type { BudgetStore } from './budget-store.js';
import type { Principal } from './key-ring.js';

/** Tokens set aside for one request. Settled once, with what was seen of it; what comes after that changes nothing. */
export interface Reservation {
  settle(tokens: number): void;
}

interface Account {
  spent: number;
  reserved: number;
  windowStartMs: number;
  /** Requests that may be made at once, and when that was computed. */
  requests: number;
  requestsAtMs: number;
}

export interface BudgetsOptions {
  readonly store: BudgetStore;
  readonly clock: Clock;
}

/** What each key has used and has set aside. One process, one writer: admission is a test and a sum without a wait between. */
export class Budgets {
  readonly #options: BudgetsOptions;
  readonly #accounts = new Map<string, Account>();

  constructor(options: BudgetsOptions) {
    this.#options = options;
  }

  /** Takes up what was kept. */
  async open(): Promise<void> {
    const { store, clock } = this.#options;
    for (const { keyId, spent, windowStartMs } of await store.load()) {
      this.#accounts.set(keyId, { ...newAccount(clock), spent, windowStartMs });
    }
  }

  #account({ keyId, windowSeconds }: Principal): Account {
    const { clock } = this.#options;
    const account = this.#accounts.get(keyId) ?? newAccount(clock);
    this.#accounts.set(keyId, account);
    if (windowSeconds !== undefined && clock.unixMs() - account.windowStartMs >= windowSeconds * 1000) {
      account.spent = 0;
      account.windowStartMs = clock.unixMs();
    }
    return account;
  }

  /** What a key has used in its window. */
  spent(principal: Principal): number {
    return this.#account(principal).spent;
  }

  /** Counts one request against the rate of a key; throws when it comes too soon. */
  admit(principal: Principal): void {
    const { requestsPerMinute: rate } = principal;
    if (rate === undefined) return;
    const account = this.#account(principal);
    const nowMs = this.#options.clock.now();
    account.requests = Math.min(rate, account.requests + ((nowMs - account.requestsAtMs) * rate) / 60_000);
    account.requestsAtMs = nowMs;
    if (account.requests >= 1) {
      account.requests -= 1;
      return;
    }
    const retryAfterSeconds = Math.max(1, Math.ceil(((1 - account.requests) * 60) / rate));
    const reason = `this key may make ${rate} requests in a minute`;
    throw new CortexError('rate_limit_exceeded', { reason, retryAfterSeconds });
  }

  /** Sets tokens aside for a request; throws when the budget does not hold that many. */
  reserve(principal: Principal, tokens: number): Reservation {
    const account = this.#account(principal);
    const { hardCap, windowSeconds } = principal;
    const available = hardCap === undefined ? Number.POSITIVE_INFINITY : hardCap - account.spent - account.reserved;
    if (tokens > available) {
      const left = Math.max(0, available);
      if (windowSeconds === undefined)
        throw new CortexError('insufficient_quota', { requested: tokens, available: left });
      const elapsedMs = this.#options.clock.unixMs() - account.windowStartMs;
      const retryAfterSeconds = Math.max(1, Math.ceil(windowSeconds - elapsedMs / 1000));
      const reason = `it may use ${tokens} tokens, and ${left} are left of the budget for ${windowSeconds} s`;
      throw new CortexError('rate_limit_exceeded', { reason, retryAfterSeconds });
    }
    account.reserved += tokens;
    let isOpen = true;
    return {
      settle: (used) => {
        if (!isOpen) return;
        isOpen = false;
        account.reserved -= tokens;
        // A window that has ended meanwhile is charged to the next: the tokens came then.
        const current = this.#account(principal);
        current.spent += used;
        const { spent, windowStartMs } = current;
        this.#options.store.put({ keyId: principal.keyId, spent, windowStartMs });
      },
    };
  }
}

const newAccount = (clock: Clock): Account => ({
  spent: 0,
  reserved: 0,
  windowStartMs: clock.unixMs(),
  // Never more than the rate: the first request finds a full bucket.
  requests: Number.MAX_SAFE_INTEGER,
  requestsAtMs: clock.now(),
});
