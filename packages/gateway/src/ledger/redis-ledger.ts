import { createHash } from 'node:crypto';
import { type Clock, CortexError } from '@helexa/core';
import type { Redis } from 'ioredis';
import type { Principal } from '../keys/key-ring.js';
import { type Estimate, type KeyUsage, type Ledger, overBudget, type Reservation, tooSoon } from './ledger.js';
import { admitScript, reserveScript, settleScript, usageScript } from './redis-scripts.js';

/** What is used of the library. */
export interface RedisLibrary {
  readonly Redis: new (url: string, options: object) => Redis;
}

export interface RedisLedgerOptions {
  readonly url: string;
  /** Stands before every key, so that several fleets can share one server. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly makeId: () => string;
  /** Loads the client library. */
  readonly library: () => Promise<RedisLibrary>;
  /** Called when the server stops answering, and for what it refuses. */
  readonly onError: (error: unknown) => void;
}

/** Longest wait for one answer; a request of a key with a budget waits this long at most. */
const commandTimeoutMs = 1000;
/** A reservation whose gateway has not been heard of for this long is settled with its least. */
const leaseMs = 60_000;
const retryMs = 500;
const retryAfterSeconds = 5;

/** What Redis does not know yet of one key. */
interface Pending {
  /** Of the budget as it is now: a reload may have changed it. */
  windowMs: number;
  /** Tokens of requests without a reservation. */
  spent: number;
  /** Such tokens that were sent, and may have arrived. */
  sent: { readonly batch: number; readonly tokens: number } | undefined;
  /** Tokens by the reservation they settle. */
  readonly settlements: Map<string, number>;
  /** Reservations that still run. */
  readonly open: Set<string>;
}

const digestOf = (script: string): string => createHash('sha1').update(script).digest('hex');

/**
 * The ledger that several gateways share. A key with a budget asks Redis before its request is sent, in one round trip, and is
 * refused when Redis does not answer; what was used is told afterwards, again and again until it has arrived.
 */
export class RedisLedger implements Ledger {
  readonly #options: RedisLedgerOptions;
  readonly #gateway: string;
  readonly #pending = new Map<string, Pending>();
  #client: Redis | undefined;
  #batch = 0;
  #telling: Promise<void> | undefined;
  #isTelling = false;
  #cancelRetry: (() => void) | undefined;
  #cancelRenewal: (() => void) | undefined;
  #isReachable = false;
  #isClosed = false;

  constructor(options: RedisLedgerOptions) {
    this.#options = options;
    this.#gateway = options.makeId();
  }

  get isReachable(): boolean {
    return this.#isReachable;
  }

  async open(): Promise<void> {
    const { url, library, onError } = this.#options;
    const { Redis } = await library();
    const client = new Redis(url, {
      lazyConnect: true,
      commandTimeout: commandTimeoutMs,
      connectTimeout: commandTimeoutMs,
      // A request is refused at once while there is no connection, and nothing is sent twice behind our back.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times: number) => Math.min(100 * times, 2000),
    });
    this.#client = client;
    let last = '';
    client.on('error', (error: Error) => {
      // A server that stays away fails again with every try: said once.
      if (error.message !== last) onError(error);
      last = error.message;
    });
    client.on('ready', () => {
      this.#isReachable = true;
      last = '';
      this.#tell();
    });
    client.on('close', () => {
      // Said at once: a server that is back by the next try gives no error of its own.
      if (this.#isReachable && !this.#isClosed) {
        const where = `${client.options.host}:${client.options.port}`;
        onError(new CortexError('ledger_unavailable', { where, reason: 'the connection was lost; it is tried again' }));
      }
      this.#isReachable = false;
    });
    // The client goes on trying; the listener above tells why it could not.
    await client.connect().catch(() => {});
    this.#renewLater();
  }

  #keys(keyId: string): [string, string] {
    // The braces keep the keys of one account together in a cluster.
    const base = `${this.#options.prefix}{${keyId}}`;
    return [`${base}:account`, `${base}:open`];
  }

  async #run(script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const client = this.#client;
    if (!client || this.#isClosed) throw new CortexError('disposed', { what: 'the ledger' });
    try {
      return await client.evalsha(digestOf(script), keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return await client.eval(script, keys.length, ...keys, ...args);
    }
  }

  /** Closed rather than open: without an answer nobody knows whether the budget holds. */
  #unanswered(cause: unknown): CortexError {
    const reason = 'the budget of this key cannot be asked for at this moment';
    return new CortexError('rate_limit_exceeded', { reason, retryAfterSeconds }, { cause });
  }

  #pendingOf({ keyId, windowSeconds }: Principal): Pending {
    const windowMs = (windowSeconds ?? 0) * 1000;
    let pending = this.#pending.get(keyId);
    if (!pending) {
      pending = { windowMs, spent: 0, sent: undefined, settlements: new Map(), open: new Set() };
      this.#pending.set(keyId, pending);
    }
    pending.windowMs = windowMs;
    return pending;
  }

  async admit({ keyId, requestsPerMinute: rate }: Principal): Promise<void> {
    if (rate === undefined) return;
    const bucket = `${this.#options.prefix}{${keyId}}:rate`;
    const waitMs = await this.#run(admitScript, [bucket], [this.#options.clock.unixMs(), rate]).catch((cause) => {
      throw this.#unanswered(cause);
    });
    if (Number(waitMs) > 0) throw tooSoon(rate, Number(waitMs));
  }

  async reserve(principal: Principal, { most, least }: Estimate): Promise<Reservation> {
    const { hardCap } = principal;
    const pending = this.#pendingOf(principal);
    if (hardCap === undefined) {
      return this.#once((used) => {
        pending.spent += used;
      });
    }
    const nowMs = this.#options.clock.unixMs();
    const member = `${this.#options.makeId()}|${most}|${least}`;
    const args = [nowMs, pending.windowMs, hardCap, nowMs + leaseMs, member];
    const answer = (await this.#run(reserveScript, this.#keys(principal.keyId), args).catch((cause) => {
      // It may have been set aside all the same.
      pending.settlements.set(member, 0);
      this.#tell();
      throw this.#unanswered(cause);
    })) as readonly (number | string)[];
    if (answer[0] !== 1) {
      throw overBudget(principal, {
        wanted: most,
        available: Number(answer[1]),
        elapsedMs: nowMs - Number(answer[2]),
      });
    }
    pending.open.add(member);
    return this.#once((used) => {
      pending.open.delete(member);
      pending.settlements.set(member, used);
    });
  }

  #once(settle: (used: number) => void): Reservation {
    let isOpen = true;
    return {
      settle: (used) => {
        if (!isOpen) return;
        isOpen = false;
        settle(used);
        this.#tell();
      },
    };
  }

  async usage(principal: Principal): Promise<KeyUsage> {
    await this.#telling;
    const windowMs = (principal.windowSeconds ?? 0) * 1000;
    const answer = await this.#run(usageScript, this.#keys(principal.keyId), [
      this.#options.clock.unixMs(),
      windowMs,
    ]).catch((cause) => {
      throw this.#unanswered(cause);
    });
    const [spent = 0, reserved = 0, windowStartMs = 0] = (answer as readonly string[]).map(Number);
    return { spent, reserved, windowStartMs };
  }

  /** Tells Redis what it does not know yet; joins the telling under way, which then goes on. */
  #tell(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    this.#telling = this.#tellAll();
  }

  async #tellAll(): Promise<void> {
    for (;;) {
      const due = [...this.#pending].filter(
        ([, { spent, sent, settlements }]) => spent > 0 || sent || settlements.size > 0,
      );
      if (due.length === 0) {
        this.#isTelling = false;
        return;
      }
      try {
        await Promise.all(due.map(([keyId, pending]) => this.#tellOne(keyId, pending, [])));
      } catch (error) {
        this.#isTelling = false;
        // While it is away the client says so itself.
        if (this.#isReachable) this.#options.onError(error);
        this.#cancelRetry?.();
        if (!this.#isClosed) this.#cancelRetry = this.#options.clock.after(retryMs, () => this.#tell());
        return;
      }
    }
  }

  async #tellOne(keyId: string, pending: Pending, running: readonly string[]): Promise<void> {
    if (!pending.sent && pending.spent > 0) {
      this.#batch += 1;
      pending.sent = { batch: this.#batch, tokens: pending.spent };
      pending.spent = 0;
    }
    const { sent } = pending;
    const settlements = [...pending.settlements];
    const [account, open] = this.#keys(keyId);
    const nowMs = this.#options.clock.unixMs();
    await this.#run(
      settleScript,
      [account, open, `${account}:${this.#gateway}`],
      [
        nowMs,
        pending.windowMs,
        nowMs + leaseMs,
        sent?.batch ?? 0,
        sent?.tokens ?? 0,
        settlements.length,
        ...settlements.flat(),
        ...running,
      ],
    );
    if (pending.sent === sent) pending.sent = undefined;
    for (const [member] of settlements) pending.settlements.delete(member);
  }

  /** Reservations of requests that run for long must not look like those of a dead gateway. */
  #renewLater(): void {
    this.#cancelRenewal = this.#options.clock.after(leaseMs / 3, () => {
      const running = [...this.#pending].filter(([, { open }]) => open.size > 0);
      const renewed = running.map(([keyId, pending]) => this.#tellOne(keyId, pending, [...pending.open]));
      void Promise.all(renewed).catch((error: unknown) => this.#options.onError(error));
      this.#renewLater();
    });
  }

  async close(): Promise<void> {
    this.#cancelRenewal?.();
    await this.#telling;
    if (this.#isReachable) {
      this.#tell();
      await this.#telling;
    }
    this.#cancelRetry?.();
    this.#isClosed = true;
    this.#client?.disconnect();
  }
}
