import type { Clock } from '@helexa/core';
import type { Principal } from '../keys/key-ring.js';
import { type Estimate, type KeyUsage, type Ledger, overBudget, type Reservation, tooSoon } from './ledger.js';
import type { KeptReservation, LedgerStore } from './ledger-store.js';

interface Account {
  spent: number;
  reserved: number;
  windowStartMs: number;
  /** Requests that may be made at once, and when that was computed. */
  requests: number;
  requestsAtMs: number;
}

export interface LocalLedgerOptions {
  readonly clock: Clock;
  /** Where budgets outlive the process; they end with it when absent. */
  readonly store?: LedgerStore;
  /** Pause between two writes: what a sudden death of the process loses at most. */
  readonly flushIntervalMs?: number;
  readonly makeId: () => string;
  /** Called when something could not be written; it is tried again with what comes next. */
  readonly onError: (error: unknown) => void;
}

const defaultFlushIntervalMs = 100;

/** The ledger of one gateway. One process, one writer; the disk is told afterwards, and nothing waits for it. */
export class LocalLedger implements Ledger {
  readonly #options: LocalLedgerOptions;
  readonly #accounts = new Map<string, Account>();
  /** Keys whose account the store does not have yet. */
  #changed = new Set<string>();
  /** Reservations that the store does not know yet, and those that it still knows. */
  #opened = new Map<string, KeptReservation>();
  #closed = new Set<string>();
  #writing: Promise<void> | undefined;
  #cancelFlush: (() => void) | undefined;
  readonly isReachable = true;

  constructor(options: LocalLedgerOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const kept = await this.#options.store?.open();
    for (const { keyId, spent, windowStartMs } of kept?.accounts ?? []) {
      Object.assign(this.#account(keyId), { spent, windowStartMs });
    }
    // Their gateway died: what they used beyond the least is not known any more.
    for (const { id, keyId, least } of kept?.reservations ?? []) {
      this.#account(keyId).spent += least;
      this.#note(keyId, () => this.#closed.add(id));
    }
  }

  #account(keyId: string): Account {
    const { clock } = this.#options;
    let account = this.#accounts.get(keyId);
    if (!account) {
      // More than any rate: the first request finds a full bucket.
      const requests = Number.MAX_SAFE_INTEGER;
      account = { spent: 0, reserved: 0, windowStartMs: clock.unixMs(), requests, requestsAtMs: clock.now() };
      this.#accounts.set(keyId, account);
    }
    return account;
  }

  /** The account of a key in its present window. */
  #current({ keyId, windowSeconds }: Principal): Account {
    const account = this.#account(keyId);
    const nowMs = this.#options.clock.unixMs();
    if (windowSeconds === undefined) return account;
    // A clock that was set back must not make the window longer than it is.
    account.windowStartMs = Math.min(account.windowStartMs, nowMs);
    if (nowMs - account.windowStartMs >= windowSeconds * 1000) {
      account.spent = 0;
      account.windowStartMs = nowMs;
    }
    return account;
  }

  async usage(principal: Principal): Promise<KeyUsage> {
    const { spent, reserved, windowStartMs } = this.#current(principal);
    return { spent, reserved, windowStartMs };
  }

  async admit(principal: Principal): Promise<void> {
    const { requestsPerMinute: rate } = principal;
    if (rate === undefined) return;
    const account = this.#current(principal);
    const nowMs = this.#options.clock.now();
    account.requests = Math.min(rate, account.requests + ((nowMs - account.requestsAtMs) * rate) / 60_000);
    account.requestsAtMs = nowMs;
    if (account.requests < 1) throw tooSoon(rate, ((1 - account.requests) * 60_000) / rate);
    account.requests -= 1;
  }

  async reserve(principal: Principal, { most, least }: Estimate): Promise<Reservation> {
    const account = this.#current(principal);
    const { keyId, hardCap } = principal;
    const { clock, makeId } = this.#options;
    const available = hardCap === undefined ? Number.POSITIVE_INFINITY : hardCap - account.spent - account.reserved;
    if (most > available) {
      throw overBudget(principal, { wanted: most, available, elapsedMs: clock.unixMs() - account.windowStartMs });
    }
    const id = makeId();
    account.reserved += most;
    // Without a cap nothing depends on what is under way.
    if (hardCap !== undefined) this.#note(undefined, () => this.#opened.set(id, { id, keyId, least }));
    let isOpen = true;
    return {
      settle: (used) => {
        if (!isOpen) return;
        isOpen = false;
        account.reserved -= most;
        // A window that has ended meanwhile is charged to the next: the tokens came then.
        this.#current(principal).spent += used;
        this.#note(keyId, () => {
          if (hardCap !== undefined && !this.#opened.delete(id)) this.#closed.add(id);
        });
      },
    };
  }

  /** Remembers that something has to be written, soon. */
  #note(keyId: string | undefined, change: () => void): void {
    const { store, clock, flushIntervalMs = defaultFlushIntervalMs } = this.#options;
    if (!store) return;
    if (keyId !== undefined) this.#changed.add(keyId);
    change();
    this.#cancelFlush ??= clock.after(flushIntervalMs, () => {
      this.#cancelFlush = undefined;
      void this.#flush();
    });
  }

  #flush(): Promise<void> {
    this.#writing = (this.#writing ?? Promise.resolve()).then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    const { store, onError } = this.#options;
    const [changed, opened, closed] = [this.#changed, this.#opened, this.#closed];
    if (!store || changed.size + opened.size + closed.size === 0) return;
    this.#changed = new Set();
    this.#opened = new Map();
    this.#closed = new Set();
    const accounts = [...changed].map((keyId) => {
      const { spent, windowStartMs } = this.#account(keyId);
      return { keyId, spent, windowStartMs };
    });
    try {
      await store.write({ accounts, opened: [...opened.values()], closed: [...closed] });
    } catch (error) {
      // Nothing of it was kept. What was closed meanwhile needs no opening any more.
      for (const [id, reservation] of opened) {
        if (!this.#closed.delete(id)) this.#opened.set(id, reservation);
      }
      for (const id of closed) this.#note(undefined, () => this.#closed.add(id));
      for (const keyId of changed) this.#note(keyId, () => {});
      this.#note(undefined, () => {});
      onError(error);
    }
  }

  async close(): Promise<void> {
    this.#cancelFlush?.();
    await this.#flush();
    this.#cancelFlush?.();
    await this.#options.store?.close();
  }
}
