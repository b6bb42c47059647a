import { CortexError } from '@helexa/core';
import { type DeviceModel, pageTokens } from '@helexa/graph';
import type { PromptImage } from '../vision/visual-prompt.js';
import { Admission, type AdmissionLoad, type CacheBudget } from './admission.js';
import { decideAdmission, type RequestedAdmission } from './admission-limits.js';
import { BlockManager, type PageCounts, type ReuseScope } from './block-manager.js';
import { type ContextLimit, contextLimit, type PrefillTarget, refusePrompt } from './context-limit.js';
import type { EngineEffects } from './effects.js';
import { Flight, type Place, type Sequence } from './flight.js';
import type { FlightImages } from './flight-images.js';
import type { EngineState, Generation, GenerationRequest } from './generation.js';
import { MeasuredSpeed, type SpeedReport } from './measured-speed.js';
import { type BatchEntry, planStep } from './scheduler.js';
import { StepWriter } from './step-writer.js';
import { WatchedDevice } from './watched-device.js';

export interface EngineOptions {
  /** Of a model that takes images. */
  readonly vision?: { readonly merge: number } | null;
  /** Of a model without a head: width of the rows that it answers with; null or absent: it answers with tokens. */
  readonly rowWidth?: number | null;
  /** Name in errors. */
  readonly modelId: string;
  readonly device: DeviceModel;
  readonly reuse: ReuseScope;
  /** Who may come in, and how long they wait. */
  readonly admission?: RequestedAdmission;
  /** How long a prompt may be computed for; absent or null: as long as it takes. */
  readonly prefillTarget?: PrefillTarget | null;
  /** Events of one request that its reader may be behind before its sequences pause. */
  readonly maxBufferedEvents: number;
  /** Longest time that one step may take before the device counts as wedged. */
  readonly stepTimeoutMs: number;
  readonly effects: EngineEffects;
}

export interface EngineLoad extends AdmissionLoad, SpeedReport {
  readonly running: number;
  readonly slots: number;
  readonly pages: PageCounts;
}

/**
 * Runs one model: admits requests, steps the device, hands tokens to their readers. One loop, one owner.
 *
 * A sequence holds its slot and pages from admission until it ends, is cancelled (freed before the next step) or the
 * engine closes; pages for its longest output are reserved at admission, so a running sequence never stalls for memory.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #device: WatchedDevice;
  readonly #writer: StepWriter;
  readonly #blocks: BlockManager;
  readonly #freeSlots: number[];
  readonly #admission: Admission;
  readonly #speed = new MeasuredSpeed();
  readonly #running = new Map<number, Sequence>();
  /** What nobody wants any more and may still hold something. */
  readonly #cancelled = new Set<Flight>();
  readonly #loop: Promise<void>;
  #state: EngineState = { kind: 'running' };
  #isDraining = false;
  #nextId = 1;
  #steps = 0;
  #wake: (() => void) | null = null;
  #onIdle: (() => void)[] = [];

  constructor(options: EngineOptions) {
    const { layout, buffer } = options.device;
    this.#options = options;
    this.#device = new WatchedDevice(options);
    this.#writer = new StepWriter(layout, buffer);
    const { pages, maxSequences, snapshots = 0 } = layout.limits;
    const states = snapshots > 0 ? { first: maxSequences, count: snapshots } : null;
    this.#blocks = new BlockManager({ pages, reuse: options.reuse, states });
    this.#admission = new Admission({
      modelId: options.modelId,
      limits: decideAdmission(options.admission ?? {}, maxSequences),
      effects: options.effects,
      budgetOf: ({ sequences }) => this.#budgetOf(sequences[0]!.work),
      onExpired: (flight, error) => this.#failFlight(flight, error),
    });
    this.#freeSlots = Array.from({ length: maxSequences }, (_, slot) => slot).reverse();
    this.#loop = this.#run();
  }

  get state(): EngineState {
    return this.#state;
  }

  get load(): EngineLoad {
    return {
      ...this.#admission.load,
      running: this.#running.size,
      slots: this.#options.device.layout.limits.maxSequences,
      pages: this.#blocks.counts,
      ...this.#speed.report,
    };
  }

  /** What one request may have, by the memory and the measured speed of now: what is advertised is what is enforced. */
  get limit(): ContextLimit {
    const { device, prefillTarget = null } = this.#options;
    return contextLimit(device.layout.limits.maxContext, prefillTarget, this.#speed.report.prefillTokensPerSecond);
  }

  /** Throws when a request of this principal would be turned away now; for before the work of making its prompt. */
  knock(principal: string | null, choices: number): void {
    if (this.#state.kind === 'failed') throw this.#state.error;
    if (this.#state.kind === 'closed' || this.#isDraining) throw new CortexError('shutting_down', {});
    this.#admission.knock(principal, choices);
  }

  /** Queues a request; throws when it cannot come in or can never run. Reading the result to its end, or leaving, frees everything. */
  generate(request: GenerationRequest): Generation {
    const { limit } = this;
    this.#refuse(request, limit);
    const { effects, maxBufferedEvents } = this.#options;
    const flight = new Flight({
      request,
      seed: request.seed ?? effects.randomSeed(),
      maxTokens: Math.min(request.maxTokens, limit.context - request.prompt.length),
      maxBufferedEvents,
      nowMs: effects.nowMs(),
      nextId: () => this.#nextId++,
      onDrain: () => this.#poke(),
      onCancel: (cancelled) => {
        this.#cancelled.add(cancelled);
        this.#poke();
      },
    });
    this.#admission.enter(flight);
    this.#poke();
    return flight.queue;
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#state.kind === 'running' && this.#pending > 0) {
      await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    }
  }

  /** Takes nothing more and turns away those that wait; resolves when those that run have ended. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const flight of this.#admission.untouched) this.#failFlight(flight, new CortexError('shutting_down', {}));
    this.#poke();
    await this.idle();
  }

  /** Ends every generation with `shutting_down` and stops the loop once the step in flight is over. The device stays its owner's. */
  async close(): Promise<void> {
    // A failed engine stays failed: its generations end with the reason.
    if (this.#state.kind === 'running') {
      this.#state = { kind: 'closed' };
      this.#poke();
    }
    await this.#loop;
  }

  get #pending(): number {
    return this.#running.size + this.#admission.waiting;
  }

  #refuse({ principal, prompt, maxTokens, choices }: GenerationRequest, limit: ContextLimit): void {
    refusePrompt(limit, prompt.length, maxTokens);
    if (prompt.length === 0 || maxTokens < 1 || choices < 1) {
      throw new CortexError('internal_error', {
        reason: 'a request without prompt, choices or tokens reached the engine',
      });
    }
    this.knock(principal ?? null, choices);
    const budget = this.#budgetOf(prompt.length + Math.min(maxTokens, limit.context - prompt.length));
    if (budget.requiredPages > this.#options.device.layout.limits.pages) throw this.#admission.refuseUnservable(budget);
  }

  /** What a sequence of so many tokens, output included, takes of the key-value cache. */
  #budgetOf(tokens: number): CacheBudget & { readonly requiredPages: number } {
    const { device } = this.#options;
    const { pages } = device.layout.limits;
    const budgetBytes = device.memory.reduce((sum, rank) => sum + rank.kvBytes, 0);
    const { free, cached, reserved } = this.#blocks.counts;
    const requiredPages = Math.ceil(positionsOf(tokens) / pageTokens);
    const bytesOf = (count: number) => Math.round((count * budgetBytes) / pages);
    return {
      requiredPages,
      requiredBytes: bytesOf(requiredPages),
      freeBytes: bytesOf(free + cached - reserved),
      budgetBytes,
    };
  }

  async #run(): Promise<void> {
    try {
      while (this.#state.kind === 'running') await this.#turn();
    } catch (error) {
      // A defect of the engine itself: its books can no longer be trusted.
      this.#fail(asCortexError(error));
    }
    this.#end(this.#state.kind === 'failed' ? this.#state.error : new CortexError('shutting_down', {}));
  }

  async #turn(): Promise<void> {
    this.#reap();
    this.#admit();
    const next = this.#nextImage();
    if (next) {
      await this.#encode(next);
      if (this.#state.kind !== 'running') return;
    }
    const entries = this.#plan();
    if (entries.length === 0) {
      // While an image was encoded, anything may have happened: look again before sleeping.
      if (next) return;
      this.#announceIdle();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      return;
    }
    await this.#step(entries);
    await this.#options.effects.yieldTurn();
  }

  /** An image that a running sequence waits for. */
  #nextImage(): { readonly images: FlightImages; readonly image: PromptImage } | null {
    for (const { flight, computed } of this.#running.values()) {
      const image = flight.images?.missing(computed);
      if (flight.images && image) return { images: flight.images, image };
    }
    return null;
  }

  /** Makes the features of one image, in a step of its own. */
  async #encode({ images, image }: { readonly images: FlightImages; readonly image: PromptImage }): Promise<void> {
    this.#writer.writeImage(image.image, this.#options.vision?.merge ?? 1);
    const deviceNs = await this.#runStep();
    if (deviceNs === null) return;
    images.put(image, this.#writer.readFeatures(image.image.features));
    this.#options.effects.onStep({ rows: 0, sequences: 0, sampled: 0, deviceNs, tokenGapsMs: [] });
  }

  #fail(error: CortexError): void {
    if (this.#state.kind !== 'running') return;
    this.#state = { kind: 'failed', error };
    this.#options.effects.onFailed(error);
  }

  async #step(entries: readonly BatchEntry[]): Promise<void> {
    const batch = entries.map((entry) => ({ entry, sequence: this.#running.get(entry.id)! }));
    this.#writer.writeStep(
      batch.map(({ entry, sequence }) => ({
        slot: sequence.place!.slot,
        start: entry.start,
        tokens: sequence.tokens.slice(entry.start, entry.start + entry.rows),
        sampleCounter: entry.sample ? sequence.tokens.length - sequence.flight.request.prompt.length : null,
        visual: sequence.flight.images,
        mask: entry.sample ? (sequence.constraint?.mask() ?? null) : null,
      })),
    );
    const deviceNs = await this.#runStep();
    if (deviceNs === null) return;
    const nowMs = this.#options.effects.nowMs();
    const rows = entries.reduce((sum, entry) => sum + entry.rows, 0);
    const tokenGapsMs: number[] = [];
    let samples = 0;
    for (const { entry, sequence } of batch) {
      sequence.computed += entry.rows;
      sequence.servedAt = this.#steps;
      if (isPrefilling(sequence)) this.#speed.prefillStep(sequence, entry.sample, rows, deviceNs);
      else tokenGapsMs.push(nowMs - sequence.lastTokenAtMs);
      sequence.lastTokenAtMs = nowMs;
      if (sequence.place) this.#keep(sequence, sequence.place);
      if (entry.sample) this.#accept(sequence, samples++, nowMs);
      const { images, sequences } = sequence.flight;
      images?.release(Math.min(...sequences.map((each) => each.computed)));
    }
    this.#options.effects.onStep({ rows, sequences: batch.length, sampled: samples, deviceNs, tokenGapsMs });
  }

  /** Lets later prompts find what a sequence has computed. */
  #keep({ keys, computed }: Sequence, { slot, lease }: Place): void {
    this.#blocks.register(lease, keys, computed);
    const state = this.#blocks.keepState(lease, computed);
    if (state !== null) this.#writer.copyState(slot, state);
  }

  /** Runs what was written; null when the device failed, and the engine with it. */
  async #runStep(): Promise<number | null> {
    this.#steps += 1;
    try {
      return await this.#device.step();
    } catch (error) {
      this.#fail(asCortexError(error));
      return null;
    }
  }

  /** Takes the token that the step chose for a sequence. */
  #accept(sequence: Sequence, sample: number, nowMs: number): void {
    const { flight, place } = sequence;
    if (!place || flight.isCancelled) return;
    const { rowWidth = null } = this.#options;
    if (rowWidth !== null) {
      this.#acceptRow(sequence, this.#writer.readRow(sample, rowWidth), nowMs);
      return;
    }
    const answer = this.#writer.readSampled(sample);
    if (answer.isUnhealthy || answer.token < 0) {
      this.#failFlight(flight, new CortexError('logits_unhealthy', { model: this.#options.modelId }));
      return;
    }
    const { topLogprobs } = flight.request.sampling;
    const top = topLogprobs === null ? null : this.#writer.readTop(sample, topLogprobs);
    try {
      if (flight.accept(sequence, answer, top, nowMs)) {
        this.#writer.appendHistory(place.slot, sequence.tokens.length - 1, answer.token);
        this.#cover(sequence);
      } else {
        this.#release(sequence);
        this.#speed.choiceEnd(flight);
      }
    } catch (error) {
      // A text stage that fails concerns this request only.
      this.#failFlight(flight, error);
    }
  }

  #acceptRow(sequence: Sequence, row: Float32Array, nowMs: number): void {
    if (row.every((value) => Number.isFinite(value))) {
      sequence.flight.acceptRow(sequence, row, nowMs);
      this.#release(sequence);
    } else this.#failFlight(sequence.flight, new CortexError('logits_unhealthy', { model: this.#options.modelId }));
  }

  #plan(): BatchEntry[] {
    const { maxRows, maxSequences, maxSampled } = this.#options.device.layout.limits;
    const views = [...this.#running.values()].map((sequence) => ({
      id: sequence.id,
      computed: sequence.computed,
      length: sequence.tokens.length,
      cutAt: sequence.place?.lease.marks.find((mark) => mark > sequence.computed),
      paused: sequence.flight.queue.isFull || isWaitingForImage(sequence),
      servedAt: sequence.servedAt,
    }));
    return planStep(views, { maxRows, maxSequences, maxSampled });
  }

  #admit(): void {
    const { reuse } = this.#options;
    this.#admission.admit(
      ({ choice, flight }) => choice > 0 && reuse !== 'none' && !flight.isPrefilled,
      (sequence) => this.#tryPlace(sequence),
    );
  }

  #tryPlace(sequence: Sequence): boolean {
    const { flight, choice, keys, work } = sequence;
    const { prompt, resumed = [], sampling } = flight.request;
    const lease = this.#blocks.admit(keys, positionsOf(work), flight.sequences[0]!.id);
    if (!lease) return false;
    const slot = this.#freeSlots.pop()!;
    const nowMs = this.#options.effects.nowMs();
    const cachedTokens = lease.reusedTokens;
    sequence.place = { slot, lease, sinceMs: nowMs };
    sequence.computed = cachedTokens;
    this.#writer.openSlot(slot, prompt, sampling, seedOfChoice(flight.seed, choice));
    resumed.forEach((token, index) => {
      this.#writer.appendHistory(slot, prompt.length + index, token);
    });
    this.#writer.writePages(slot, lease.pages, 0);
    if (lease.state !== null) this.#writer.copyState(lease.state, slot);
    this.#running.set(sequence.id, sequence);
    if (choice > 0) return true;
    flight.admitted(cachedTokens, nowMs);
    const queueMs = nowMs - flight.submittedAtMs;
    this.#options.effects.onAdmitted({ queueMs, promptTokens: flight.givenTokens, cachedTokens });
    return true;
  }

  #cover(sequence: Sequence): void {
    const { slot, lease } = sequence.place!;
    const had = lease.pages.length;
    this.#blocks.cover(lease, sequence.tokens.length);
    this.#writer.writePages(slot, lease.pages, had);
  }

  #release(sequence: Sequence): void {
    if (!sequence.place) return;
    const { lease, slot, sinceMs } = sequence.place;
    this.#blocks.release(lease);
    this.#freeSlots.push(slot);
    this.#admission.release(sequence, sequence.computed - lease.reusedTokens, this.#options.effects.nowMs() - sinceMs);
    sequence.place = null;
    this.#running.delete(sequence.id);
  }

  /** Frees what cancelled requests hold. */
  #reap(): void {
    for (const flight of this.#cancelled) {
      this.#failFlight(flight, new CortexError('request_cancelled', { reason: 'its reader has gone' }));
    }
    this.#cancelled.clear();
  }

  #failFlight(flight: Flight, error: unknown): void {
    for (const sequence of flight.sequences) this.#release(sequence);
    this.#admission.leave(flight);
    flight.fail(error);
    this.#announceIdle();
  }

  #end(error: CortexError): void {
    const running = [...this.#running.values()].map((sequence) => sequence.flight);
    for (const flight of new Set([...running, ...this.#admission.flights])) this.#failFlight(flight, error);
    this.#announceIdle();
  }

  #announceIdle(): void {
    if (this.#pending > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #poke(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

const asCortexError = (error: unknown): CortexError =>
  CortexError.isInstance(error)
    ? error
    : new CortexError('internal_error', { reason: String(error) }, { cause: error });

/** The first choice has the request's own seed; the others are spread over the upper half. */
function seedOfChoice(seed: bigint, choice: number): bigint {
  return BigInt.asUintN(64, seed ^ (BigInt(choice) * 0x9e37_79b9_0000_0000n));
}

const isPrefilling = ({ tokens, flight }: Sequence): boolean => tokens.length === flight.givenTokens;

/** The last token of an output is never computed, so it needs no position. */
const positionsOf = (tokens: number): number => tokens - 1;

const isWaitingForImage = ({ flight, computed }: Sequence): boolean => flight.images?.missing(computed) != null;
