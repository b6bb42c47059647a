import { CortexError } from '@helexa/core';
import type { DeviceModel } from '@helexa/graph';
import type { PromptImage } from '../vision/visual-prompt.js';
import { BlockManager, type PageCounts, type ReuseScope } from './block-manager.js';
import type { EngineEffects } from './effects.js';
import { Flight, type Place, type Sequence } from './flight.js';
import type { FlightImages } from './flight-images.js';
import type { EngineState, Generation, GenerationRequest } from './generation.js';
import { type BatchEntry, planAdmission, planStep } from './scheduler.js';
import { StepWriter } from './step-writer.js';
import { WatchedDevice } from './watched-device.js';

export interface EngineOptions {
  /** Of a model that takes images. */
  readonly vision?: { readonly merge: number } | null;
  /** Name in errors. */
  readonly modelId: string;
  readonly device: DeviceModel;
  readonly reuse: ReuseScope;
  /** Requests that may wait beyond those running. */
  readonly maxWaiting: number;
  /** Events of one request that its reader may be behind before its sequences pause. */
  readonly maxBufferedEvents: number;
  /** Longest time that one step may take before the device counts as wedged. */
  readonly stepTimeoutMs: number;
  readonly effects: EngineEffects;
}

export interface EngineLoad {
  readonly running: number;
  readonly waiting: number;
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
  readonly #waiting: Sequence[] = [];
  readonly #running = new Map<number, Sequence>();
  readonly #loop: Promise<void>;
  #state: EngineState = { kind: 'running' };
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
    this.#freeSlots = Array.from({ length: maxSequences }, (_, slot) => slot).reverse();
    this.#loop = this.#run();
  }

  get state(): EngineState {
    return this.#state;
  }

  get load(): EngineLoad {
    return {
      running: this.#running.size,
      waiting: this.#waiting.length,
      slots: this.#options.device.layout.limits.maxSequences,
      pages: this.#blocks.counts,
    };
  }

  /** Longest context of one sequence: prompt and output together. */
  get maxContext(): number {
    return this.#options.device.layout.limits.maxContext;
  }

  /** Queues a request; throws when it can never run. Reading the result to its end, or leaving, frees everything. */
  generate(request: GenerationRequest): Generation {
    this.#refuse(request);
    const { effects, maxBufferedEvents } = this.#options;
    const flight = new Flight({
      request,
      seed: request.seed ?? effects.randomSeed(),
      maxTokens: Math.min(request.maxTokens, this.maxContext - request.prompt.length),
      maxBufferedEvents,
      nowMs: effects.nowMs(),
      nextId: () => this.#nextId++,
      onChange: () => this.#poke(),
    });
    this.#waiting.push(...flight.sequences);
    this.#poke();
    return flight.queue;
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#state.kind === 'running' && this.#running.size + this.#waiting.length > 0) {
      await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    }
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

  #refuse(request: GenerationRequest): void {
    if (this.#state.kind === 'closed') throw new CortexError('shutting_down', {});
    if (this.#state.kind === 'failed') throw this.#state.error;
    if (request.prompt.length >= this.maxContext) {
      throw new CortexError('context_length_exceeded', { prompt_len: request.prompt.length, max: this.maxContext });
    }
    if (request.prompt.length === 0 || request.maxTokens < 1 || request.choices < 1) {
      throw new CortexError('internal_error', {
        reason: 'a request without prompt, choices or tokens reached the engine',
      });
    }
    if (this.#waiting.length + request.choices > this.#options.maxWaiting) {
      throw new CortexError('engine_queue_full', { model: this.#options.modelId, waiting: this.#waiting.length });
    }
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
    this.#options.effects.onStep({ rows: 0, sampled: 0, deviceNs });
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
      })),
    );
    const deviceNs = await this.#runStep();
    if (deviceNs === null) return;
    let samples = 0;
    for (const { entry, sequence } of batch) {
      sequence.computed += entry.rows;
      sequence.servedAt = this.#steps;
      if (sequence.place) this.#keep(sequence, sequence.place);
      if (entry.sample) this.#accept(sequence, samples++);
      const { images, sequences } = sequence.flight;
      images?.release(Math.min(...sequences.map((each) => each.computed)));
    }
    const rows = entries.reduce((sum, entry) => sum + entry.rows, 0);
    this.#options.effects.onStep({ rows, sampled: samples, deviceNs });
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
  #accept(sequence: Sequence, sample: number): void {
    const { flight, place } = sequence;
    if (!place || flight.isCancelled) return;
    const answer = this.#writer.readSampled(sample);
    if (answer.isUnhealthy || answer.token < 0) {
      this.#failFlight(flight, new CortexError('logits_unhealthy', { model: this.#options.modelId }));
      return;
    }
    const { topLogprobs } = flight.request.sampling;
    const top = topLogprobs === null ? null : this.#writer.readTop(sample, topLogprobs);
    try {
      if (flight.accept(sequence, answer, top, this.#options.effects.nowMs())) {
        this.#writer.appendHistory(place.slot, sequence.tokens.length - 1, answer.token);
        this.#cover(sequence);
      } else this.#release(sequence);
    } catch (error) {
      // A text stage that fails concerns this request only.
      this.#failFlight(flight, error);
    }
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
    const waiting = this.#waiting.map((sequence) => ({
      id: sequence.id,
      held: sequence.choice > 0 && reuse !== 'none' && !sequence.flight.isPrefilled,
    }));
    const byId = new Map(this.#waiting.map((sequence) => [sequence.id, sequence]));
    const admitted = new Set(planAdmission(waiting, this.#freeSlots.length, (id) => this.#tryPlace(byId.get(id)!)));
    if (admitted.size === 0) return;
    const left = this.#waiting.filter((sequence) => !admitted.has(sequence.id));
    this.#waiting.splice(0, this.#waiting.length, ...left);
  }

  #tryPlace(sequence: Sequence): boolean {
    const { flight, choice } = sequence;
    const { prompt, resumed = [], sampling } = flight.request;
    // The last token of an output is never computed, so it needs no position.
    const lease = this.#blocks.admit(sequence.keys, prompt.length + sequence.maxTokens - 1, flight.sequences[0]!.id);
    if (!lease) return false;
    const slot = this.#freeSlots.pop()!;
    sequence.place = { slot, lease };
    sequence.computed = lease.reusedTokens;
    this.#writer.openSlot(slot, prompt, sampling, seedOfChoice(flight.seed, choice));
    resumed.forEach((token, index) => {
      this.#writer.appendHistory(slot, prompt.length + index, token);
    });
    this.#writer.writePages(slot, lease.pages, 0);
    if (lease.state !== null) this.#writer.copyState(lease.state, slot);
    this.#running.set(sequence.id, sequence);
    if (choice === 0) flight.admitted(lease.reusedTokens, this.#options.effects.nowMs());
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
    this.#blocks.release(sequence.place.lease);
    this.#freeSlots.push(sequence.place.slot);
    sequence.place = null;
    this.#running.delete(sequence.id);
  }

  /** Frees what cancelled requests hold. */
  #reap(): void {
    const cancelled = new Set<Flight>();
    for (const sequence of this.#running.values()) if (sequence.flight.isCancelled) cancelled.add(sequence.flight);
    for (const sequence of this.#waiting) if (sequence.flight.isCancelled) cancelled.add(sequence.flight);
    for (const flight of cancelled) {
      this.#failFlight(flight, new CortexError('request_cancelled', { reason: 'its reader has gone' }));
    }
  }

  #failFlight(flight: Flight, error: unknown): void {
    for (const sequence of flight.sequences) this.#release(sequence);
    const left = this.#waiting.filter((sequence) => sequence.flight !== flight);
    this.#waiting.splice(0, this.#waiting.length, ...left);
    flight.fail(error);
  }

  #end(error: CortexError): void {
    const flights = new Set([...this.#running.values(), ...this.#waiting].map((sequence) => sequence.flight));
    for (const flight of flights) this.#failFlight(flight, error);
    this.#announceIdle();
  }

  #announceIdle(): void {
    if (this.#running.size + this.#waiting.length > 0) return;
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

const isWaitingForImage = ({ flight, computed }: Sequence): boolean => flight.images?.missing(computed) != null;
