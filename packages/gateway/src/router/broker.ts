import { type CatalogueEntry, CortexError } from '@helexa/core';
import type { Catalogue } from '../catalogue/catalogue.js';
import { type Fleet, modelOn, type NodeState } from '../fleet/fleet.js';
import type { StopSignal } from '../proxy/stop.js';
import type { Outcome, RouterEffects } from './effects.js';
import { forecastMs } from './forecast.js';
import { LoadHistory } from './load-history.js';
import { describePlan, type Plan, whyText } from './plan.js';
import { findRetirements } from './retirement.js';
import { type Ask, type Decision, decide, type WaitReason } from './router.js';
import type { Claim, EvictionStrategy, LoadJob, RouterView, Setback } from './view.js';
import type { WaitPart } from './wait-ledger.js';

export interface BrokerSettings {
  /** Longest wait of one request for a model. */
  readonly waitMs: number;
  readonly loadTimeoutMs: number;
  readonly unloadTimeoutMs: number;
  /** A model that was loaded stays for at least this long. */
  readonly residencyMs: number;
  /** A request that has waited this long has a busy model stopped for it. */
  readonly patienceMs: number;
  readonly strategy: EvictionStrategy;
  /** A model that nobody has asked for in so long leaves; 0 is never. */
  readonly idleTtlMs: number;
  /** After so many evictions a node is said to need a new start; 0 is never. */
  readonly defragAfterCycles: number;
}

export interface BrokerOptions {
  readonly effects: RouterEffects;
  readonly fleet: () => Fleet;
  readonly catalogue: () => Catalogue;
  readonly settings: BrokerSettings;
}

/** A place at a model of a node, held until it is released. */
export interface Lease {
  readonly node: NodeState;
  /** True when it was not to be had at once. */
  readonly hasWaited: boolean;
  /** What it waited for, in order. */
  readonly waits: readonly WaitPart[];
  release(): void;
}

export interface AcquireOptions {
  readonly model: string;
  readonly signal: StopSignal;
  /** Nodes that this request has failed at. */
  readonly exclude?: ReadonlySet<string>;
  readonly preferred?: string | undefined;
}

/** What a waiting request waits for. */
export interface Progress {
  readonly why: WaitReason;
  readonly waitedMs: number;
  readonly expectedMs: number;
}

interface Waiter {
  readonly ask: Ask;
  readonly resolve: (lease: Lease) => void;
  readonly reject: (error: unknown) => void;
  why: WaitReason;
  /** What was decided about it last. */
  decision: Decision;
  /** What it has waited for so far; the last part is under way. */
  readonly waits: (Omit<WaitPart, 'ms'> & { readonly fromMs: number })[];
}

interface RunningJob extends LoadJob {
  /** Its neuron was started anew and knows nothing of it: no fault of the model. */
  isLost: boolean;
  /** A look that began after its end has succeeded. */
  isSeen: boolean;
  readonly stop: AbortController;
}

const firstSetbackMs = 5000;
const longestSetbackMs = 300_000;
const noNodes: ReadonlySet<string> = new Set();

const keyOf = (node: string, model: string): string => `${node}\0${model}`;

/** Settles with the promise, or rejects with the reason of the signal: an effect that hangs holds nobody. */
const orAborted = <Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });

/**
 * Gives requests their places. It is the one writer of loads and evictions: requests for a model that is not ready attach to
 * the load under way and are decided about again, in the order they came, whenever something has changed. Every one of them
 * ends: with a place, with a typed error, or because its client left.
 */
export class Broker {
  readonly #options: BrokerOptions;
  readonly #history = new LoadHistory();
  readonly #waiters = new Set<Waiter>();
  readonly #jobs = new Map<string, RunningJob>();
  /** Jobs that have ended at nodes of which no look has succeeded since, and whether one was asked for that began later. */
  readonly #unsettled = new Map<string, { readonly job: LoadJob; hasLooked: boolean }>();
  readonly #claims = new Map<string, Claim>();
  readonly #setbacks = new Map<string, Setback & { readonly count: number }>();
  readonly #leases = new Map<string, number>();
  readonly #foreign = new Map<string, number>();
  readonly #usedMs = new Map<string, number>();
  readonly #loadedMs = new Map<string, number>();
  readonly #seenMb = new Map<string, number>();
  /** Models that each node had ready when it was looked at last. */
  readonly #loadedOn = new Map<string, ReadonlySet<string>>();
  /** Models that have left each node since it started or was last said to need a new start. */
  readonly #cycles = new Map<string, number>();
  readonly #startedMs: number;
  /** Loads that failed for memory once and may be tried once more with more room. */
  readonly #tight = new Set<string>();
  #cancelTimer: (() => void) | undefined;
  #isPumping = false;
  #isClosed = false;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#startedMs = options.effects.now();
  }

  /** Loads under way. */
  get jobs(): readonly LoadJob[] {
    return [...this.#jobs.values()];
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Places held, over all nodes. */
  get leased(): number {
    return [...this.#leases.values()].reduce((sum, count) => sum + count, 0);
  }

  view(): RouterView {
    const { effects, fleet, catalogue, settings } = this.#options;
    return {
      fleet: fleet(),
      catalogue: catalogue(),
      nowMs: effects.now(),
      residence: (node, model) => {
        const key = keyOf(node, model);
        const load = (this.#leases.get(key) ?? 0) + (this.#foreign.get(key) ?? 0);
        return { load, usedMs: this.#usedMs.get(key), loadedMs: this.#loadedMs.get(key) };
      },
      job: (node) => this.#jobs.get(node),
      unsettled: (node) => this.#unsettled.get(node)?.job,
      claim: (node) => this.#claims.get(node),
      setback: (node, model) => this.#setbacks.get(keyOf(node, model)),
      seenMb: (model) => this.#seenMb.get(model),
      residencyMs: settings.residencyMs,
      patienceMs: settings.patienceMs,
      strategy: settings.strategy,
      idleTtlMs: settings.idleTtlMs,
      startedMs: this.#startedMs,
    };
  }

  /** A place for a request: at once, or when its model is ready. */
  async acquire({ model, signal, exclude = noNodes, preferred }: AcquireOptions): Promise<Lease> {
    if (this.#isClosed) throw new CortexError('shutting_down', {});
    signal.throwIfAborted();
    const sinceMs = this.#options.effects.now();
    const ask: Ask = { model, sinceMs, exclude, preferred };
    const decision = decide(this.view(), ask);
    if (decision.kind === 'serve') return this.#lease(decision.node, model, []);
    if (decision.kind === 'refuse') throw decision.error;
    return await new Promise<Lease>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        reject(signal.reason);
        this.changed();
      };
      const settle =
        <Value>(then: (value: Value) => void, ok: boolean) =>
        (value: Value): void => {
          signal.removeEventListener('abort', onAbort);
          this.#waiters.delete(waiter);
          const { effects } = this.#options;
          effects.report({ kind: 'waited', model, ms: effects.now() - sinceMs, why: waiter.why, ok });
          then(value);
        };
      const waiter: Waiter = {
        ask,
        why: decision.kind === 'wait' ? decision.why : 'loading',
        decision,
        waits: [],
        resolve: settle(resolve, true),
        reject: settle(reject, false),
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
      this.changed();
    });
  }

  /** True when a request could go to another node this moment or, where it may wait, once the model is ready there. */
  hasOther(model: string, exclude: ReadonlySet<string>, mayWait = false): boolean {
    const ask: Ask = { model, sinceMs: this.#options.effects.now(), exclude, preferred: undefined };
    if (this.#isClosed) return false;
    const { kind } = decide(this.view(), ask);
    return kind === 'serve' || (mayWait && kind !== 'refuse');
  }

  /** What a request for a model would lead to at this moment; nothing is done. */
  plan(model: string): Plan {
    const view = this.view();
    const ask: Ask = { model, sinceMs: view.nowMs, exclude: noNodes, preferred: undefined };
    const decision = decide(view, ask);
    return describePlan(view, ask, decision, forecastMs(view, this.#history, model, decision));
  }

  /** What the requests for a model wait for; undefined when none does. */
  progressOf(model: string): Progress | undefined {
    for (const waiter of this.#waiters) {
      const { ask, why } = waiter;
      if (ask.model !== model) continue;
      return { why, waitedMs: this.#options.effects.now() - ask.sinceMs, expectedMs: this.#expectedMs(waiter) };
    }
    return undefined;
  }

  /** Time until the model that a request waits for is likely to be ready. */
  #expectedMs({ ask, decision }: Waiter): number {
    return forecastMs(this.view(), this.#history, ask.model, decision) ?? 0;
  }

  #lease(node: NodeState, model: string, waits: readonly WaitPart[]): Lease {
    const key = keyOf(node.name, model);
    const use = (): void => void this.#usedMs.set(key, this.#options.effects.now());
    this.#leases.set(key, (this.#leases.get(key) ?? 0) + 1);
    use();
    let isHeld = true;
    return {
      node,
      hasWaited: waits.length > 0,
      waits,
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        const left = (this.#leases.get(key) ?? 1) - 1;
        if (left > 0) this.#leases.set(key, left);
        else this.#leases.delete(key);
        use();
        this.changed();
      },
    };
  }

  /** Takes in what a look has found; call it when the fleet already has it. */
  looked(name: string, hasRestarted: boolean): void {
    const node = this.#options.fleet().find((each) => each.name === name);
    if (!node) return;
    if (!node.healthy) {
      const error = new CortexError('upstream_failed', { node: name, reason: 'it has stopped answering' });
      this.#jobs.get(name)?.stop.abort(error);
    }
    const unsettled = this.#unsettled.get(name);
    if (unsettled?.hasLooked && node.failures === 0) this.#unsettled.delete(name);
    for (const key of [...this.#foreign.keys()]) if (key.startsWith(`${name}\0`)) this.#foreign.delete(key);
    const nowMs = this.#options.effects.now();
    for (const { id, in_flight: running = 0, queue_depth: queued = 0 } of node.health?.models ?? []) {
      const key = keyOf(name, id);
      const foreign = Math.max(0, running + queued - (this.#leases.get(key) ?? 0));
      this.#foreign.set(key, foreign);
      if (foreign > 0) this.#usedMs.set(key, nowMs);
    }
    const loaded = new Set(node.models.filter(({ status }) => status === 'loaded').map(({ id }) => id));
    const before = this.#loadedOn.get(name);
    this.#loadedOn.set(name, loaded);
    // What another gateway has brought is there to stay for a while too.
    for (const id of loaded) {
      const key = keyOf(name, id);
      if (before && !before.has(id) && !this.#loadedMs.has(key)) this.#loadedMs.set(key, nowMs);
    }
    for (const { id, vram_used_mb: usedMb } of node.models) if (usedMb) this.#seenMb.set(id, usedMb);
    for (const key of [...this.#loadedMs.keys()]) {
      const [at, model] = key.split('\0') as [string, string];
      const job = this.#jobs.get(name) ?? this.#unsettled.get(name)?.job;
      if (at === name && job?.model !== model && modelOn(node, model)?.status !== 'loaded') {
        this.#loadedMs.delete(key);
      }
    }
    if (hasRestarted) {
      this.#cycles.delete(name);
      const job = this.#jobs.get(name);
      if (job) {
        job.isLost = true;
        job.stop.abort(new CortexError('upstream_failed', { node: name, reason: 'it was started anew' }));
      }
      for (const key of [...this.#setbacks.keys()]) if (key.startsWith(`${name}\0`)) this.#setbacks.delete(key);
    }
    this.changed();
  }

  /** A new catalogue may cure what has failed before. */
  catalogueChanged(): void {
    this.#setbacks.clear();
    this.#tight.clear();
    this.changed();
  }

  /** Decides again about everyone who waits. */
  changed(): void {
    if (this.#isPumping || this.#isClosed) return;
    this.#isPumping = true;
    try {
      this.#pump();
    } finally {
      this.#isPumping = false;
    }
  }

  #pump(): void {
    const { effects, settings } = this.#options;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [node, { model }] of this.#claims) {
      if (![...this.#waiters].some(({ ask }) => ask.model === model)) this.#claims.delete(node);
    }
    for (const waiter of [...this.#waiters]) {
      const deadlineMs = waiter.ask.sinceMs + settings.waitMs;
      const untilMs = deadlineMs <= effects.now() ? this.#expire(waiter) : this.#apply(waiter);
      if (this.#waiters.has(waiter)) nextMs = Math.min(nextMs, deadlineMs, untilMs ?? Number.POSITIVE_INFINITY);
    }
    const { due, nextMs: nextRetirementMs } = findRetirements(this.view());
    for (const { node, model } of due) this.#retire(node, model);
    nextMs = Math.min(nextMs, nextRetirementMs);
    if (nextMs < Number.POSITIVE_INFINITY) {
      this.#cancelTimer = effects.after(Math.max(0, nextMs - effects.now()), () => this.changed());
    }
  }

  #expire(waiter: Waiter): undefined {
    const { ask, why, reject } = waiter;
    const waitedMs = Math.round(this.#options.effects.now() - ask.sinceMs);
    const retryAfterSeconds = this.#expectedMs(waiter) / 1000;
    reject(new CortexError('model_wait_expired', { model: ask.model, waitedMs, why: whyText[why], retryAfterSeconds }));
  }

  /** Does what is decided about one request; returns when to decide again at the latest. */
  #apply(waiter: Waiter): number | undefined {
    const decision: Decision = decide(this.view(), waiter.ask);
    waiter.decision = decision;
    switch (decision.kind) {
      case 'serve':
        waiter.resolve(this.#lease(decision.node, waiter.ask.model, this.#waitsOf(waiter)));
        return undefined;
      case 'refuse':
        waiter.reject(decision.error);
        return undefined;
      case 'load':
        this.#waits(waiter, 'loading', 'load', `${decision.entry.id} on ${decision.node.name}`);
        this.#begin(decision);
        return undefined;
      case 'claim':
        this.#waits(waiter, 'busy', 'queue', `busy: ${decision.victims.join(', ')} on ${decision.node.name}`);
        this.#claims.set(decision.node.name, { model: waiter.ask.model, victims: decision.victims });
        return undefined;
      case 'wait':
        this.#waitOn(waiter, decision);
        return decision.untilMs;
    }
  }

  #waitOn(waiter: Waiter, { why, behind, node }: Decision & { readonly kind: 'wait' }): void {
    const place = `${behind.join(', ')}${node === undefined ? '' : ` on ${node}`}`;
    // Whoever has begun a load waits for that one.
    if (why === 'loading' && waiter.waits.at(-1)?.why === 'load') return;
    this.#waits(waiter, why, why === 'loading' ? 'attach' : 'queue', why === 'loading' ? place : `${why}: ${place}`);
  }

  /** Notes what a request waits for from now on. */
  #waits(waiter: Waiter, reason: WaitReason, why: string, behind: string): void {
    waiter.why = reason;
    const last = waiter.waits.at(-1);
    if (last?.why === why && last.behind === behind) return;
    waiter.waits.push({ why, behind, fromMs: this.#options.effects.now() });
  }

  #waitsOf({ waits }: Waiter): WaitPart[] {
    const nowMs = this.#options.effects.now();
    return waits.map(({ why, behind, fromMs }, index) => ({
      why,
      behind,
      ms: (waits[index + 1]?.fromMs ?? nowMs) - fromMs,
    }));
  }

  #register(node: NodeState, model: string | undefined, victims: readonly string[]): RunningJob {
    const startedMs = this.#options.effects.now();
    const stop = new AbortController();
    const job = { node: node.name, model, victims, startedMs, stop, isLost: false, isSeen: false };
    this.#jobs.set(node.name, job);
    return job;
  }

  /** Unloads a model that nobody has used for long; one that cannot leave is left alone for as long again. */
  #retire(node: NodeState, model: string): void {
    const { effects } = this.#options;
    const job = this.#register(node, undefined, [model]);
    void this.#evict(node, job)
      .catch((cause: unknown): Outcome => ({ ok: false, error: asError(model, cause) }))
      .then((outcome) => {
        this.#settle(job);
        if (this.#isClosed) return;
        if (!outcome.ok && !outcome.isStale) {
          this.#usedMs.set(keyOf(node.name, model), effects.now());
          effects.report({ kind: 'unload_failed', node: node.name, model, error: outcome.error });
        }
        this.changed();
      });
  }

  #begin({ node, entry, victims, devices }: Decision & { readonly kind: 'load' }): void {
    const { effects, settings } = this.#options;
    const job = this.#register(node, entry.id, victims);
    const { stop } = job;
    this.#claims.delete(node.name);
    effects.report({ kind: 'load_begun', node: node.name, model: entry.id, victims });
    const cancel = effects.after(settings.loadTimeoutMs, () => stop.abort(lateError(entry.id, settings.loadTimeoutMs)));
    void this.#load(node, entry, job, devices)
      .catch((cause: unknown): Outcome => ({ ok: false, error: asError(entry.id, cause) }))
      .then((outcome) => {
        cancel();
        this.#settle(job);
        if (this.#isClosed) return;
        this.#end(job, entry.id, outcome);
        this.changed();
      });
  }

  /** Ends a job. Unless a look has seen what became of it, its node counts as taken until one has. */
  #settle(job: RunningJob): void {
    this.#jobs.delete(job.node);
    if (this.#isClosed || job.isSeen) return;
    const rest = { job, hasLooked: false };
    this.#unsettled.set(job.node, rest);
    void this.#options.effects.look(job.node).then((isSeen) => {
      rest.hasLooked = true;
      if (!isSeen || this.#unsettled.get(job.node) !== rest) return;
      this.#unsettled.delete(job.node);
      this.changed();
    });
  }

  /** Frees a node of the victims of a job, one after the other; each change is fenced by what the one before it made. */
  async #evict(node: NodeState, { model, victims, stop }: RunningJob): Promise<Outcome> {
    const { effects, settings } = this.#options;
    let { epoch } = node;
    for (const victim of victims) {
      const late = lateError(model ?? victim, settings.unloadTimeoutMs, `'${victim}' was not unloaded`);
      const cancel = effects.after(settings.unloadTimeoutMs, () => stop.abort(late));
      const outcome = await orAborted(effects.unload({ ...node, epoch }, victim, stop.signal), stop.signal).finally(
        cancel,
      );
      if (!outcome.ok) {
        // Busy until the next look knows better.
        if (outcome.isInUse) this.#foreign.set(keyOf(node.name, victim), 1);
        return outcome;
      }
      epoch = outcome.epoch ?? epoch;
      this.#loadedMs.delete(keyOf(node.name, victim));
      effects.report({ kind: 'evicted', node: node.name, model: victim, by: model });
      this.#countCycle(node.name);
    }
    return { ok: true, epoch };
  }

  #countCycle(node: string): void {
    const { effects, settings } = this.#options;
    const cycles = (this.#cycles.get(node) ?? 0) + 1;
    const isMany = settings.defragAfterCycles > 0 && cycles >= settings.defragAfterCycles;
    this.#cycles.set(node, isMany ? 0 : cycles);
    if (isMany) effects.report({ kind: 'defrag_advised', node, cycles });
  }

  async #load(
    node: NodeState,
    entry: CatalogueEntry,
    job: RunningJob,
    devices: readonly number[] | undefined,
  ): Promise<Outcome> {
    const { effects, fleet } = this.#options;
    const { stop } = job;
    const room = await this.#evict(node, job);
    if (!room.ok) return room;
    const outcome = await orAborted(
      effects.load({ ...node, epoch: room.epoch }, entry, stop.signal, devices),
      stop.signal,
    );
    if (!outcome.ok) return outcome;
    job.isSeen = await orAborted(effects.look(node.name), stop.signal);
    const now = fleet().find(({ name }) => name === node.name);
    // A node that did not answer the look is not to blame for the load.
    if (!now || !job.isSeen || modelOn(now, entry.id)?.status === 'loaded') return outcome;
    const reason = `neuron '${node.name}' took the load and does not list the model`;
    return { ok: false, error: new CortexError('model_load_failed', { model: entry.id, reason }) };
  }

  #end({ node, startedMs, isLost }: RunningJob, model: string, outcome: Outcome): void {
    const { effects } = this.#options;
    const nowMs = effects.now();
    const key = keyOf(node, model);
    const ms = nowMs - startedMs;
    effects.report({ kind: 'load_ended', node, model, ms, ...(outcome.ok ? {} : { error: outcome.error }) });
    if (outcome.ok) {
      const mb = this.#seenMb.get(model) ?? this.#options.catalogue().entries.get(model)?.vram_mb;
      if (!outcome.already) this.#history.add({ node, model, mb }, ms);
      this.#loadedMs.set(key, nowMs);
      this.#setbacks.delete(key);
      this.#tight.delete(key);
      return;
    }
    if (!isLost) this.#noteFailure(key, model, outcome);
  }

  #noteFailure(key: string, model: string, outcome: Outcome & { readonly ok: false }): void {
    const nowMs = this.#options.effects.now();
    if (outcome.isInUse || outcome.isStale) return;
    if (outcome.requiredMb !== undefined && !this.#tight.has(key)) {
      this.#tight.add(key);
      this.#seenMb.set(model, Math.max(outcome.requiredMb, this.#seenMb.get(model) ?? 0));
      return;
    }
    const count = (this.#setbacks.get(key)?.count ?? 0) + 1;
    const untilMs = nowMs + Math.min(longestSetbackMs, firstSetbackMs * 2 ** (count - 1));
    this.#setbacks.set(key, { untilMs, error: outcome.error, count });
  }

  /** Ends everyone who waits; loads under way are the neurons' to finish. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelTimer?.();
    const error = new CortexError('shutting_down', {});
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    for (const { stop } of this.#jobs.values()) stop.abort(error);
  }
}

const lateError = (model: string, timeoutMs: number, what = 'it was not loaded'): CortexError =>
  new CortexError('model_load_failed', { model, reason: `${what} within ${timeoutMs} ms` });

const asError = (model: string, cause: unknown): CortexError => {
  if (CortexError.isInstance(cause)) {
    return cause.code.startsWith('model_load')
      ? cause
      : new CortexError('model_load_failed', { model, reason: cause.message }, { cause });
  }
  return new CortexError('model_load_failed', { model, reason: 'the connection to its neuron failed' }, { cause });
};
