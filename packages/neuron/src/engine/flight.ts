import { CortexError } from '@helexa/core';
import type { OutputEvent } from '../text/output-event.js';
import type { QueueEntry } from './admission-queue.js';
import type { PageLease } from './block-manager.js';
import { EventQueue } from './event-queue.js';
import type { FinishReason, GenerationEvent, Timing, TokenLogprob, Usage } from './events.js';
import { FlightImages, promptKeys } from './flight-images.js';
import type { GenerationRequest, TextSink, TokenConstraint } from './generation.js';
import type { SampledToken } from './step-writer.js';

/** What a sequence holds on the device while it runs. */
export interface Place {
  readonly slot: number;
  readonly sinceMs: number;
  readonly lease: PageLease;
}

/** One choice of a request. */
export interface Sequence extends QueueEntry {
  readonly id: number;
  readonly choice: number;
  readonly flight: Flight;
  readonly sink: TextSink;
  readonly constraint: TokenConstraint | null;
  /** Prompt and output. */
  readonly tokens: number[];
  /** What the cache is searched by: the tokens themselves, or with images their keys in place of placeholders. */
  readonly keys: number[];
  readonly maxTokens: number;
  /** Present from admission to release; the engine's. */
  place: Place | null;
  /** When the last step with rows of it ended. */
  lastTokenAtMs: number;
  /** Of the steps that computed its prompt: all rows, and the time on the device. */
  readonly prefill: { rows: number; deviceNs: number };
  /** Tokens whose keys and values are in the cache. */
  computed: number;
  /** Number of the step that last had rows of it; -1 before the first. */
  servedAt: number;
  /** Log-probabilities of tokens whose text is still held back. */
  logprobs: TokenLogprob[];
  hasToolCall: boolean;
}

export interface FlightOptions {
  readonly request: GenerationRequest;
  readonly seed: bigint;
  /** Most tokens of each choice. */
  readonly maxTokens: number;
  readonly maxBufferedEvents: number;
  readonly nowMs: number;
  readonly nextId: () => number;
  /** Its reader has caught up. */
  readonly onDrain: () => void;
  /** Nobody wants the answer any more: its reader left, or its signal fired. */
  readonly onCancel: (flight: Flight) => void;
}

/** A request on its way with all its choices: makes chosen tokens into what its reader gets. Places are the engine's. */
export class Flight {
  readonly request: GenerationRequest;
  readonly queue: EventQueue<GenerationEvent>;
  readonly sequences: readonly Sequence[];
  /** Null: the prompt is text. */
  readonly images: FlightImages | null;
  readonly seed: bigint;
  readonly submittedAtMs: number;
  readonly #cancel: () => void;
  #isCancelled: boolean;
  #isPrefilled = false;
  #open: number;
  #cachedTokens = 0;
  #admittedAtMs = 0;
  #firstTokenAtMs = 0;
  #totals: { readonly usage: Usage; readonly timing: Timing } | null = null;

  constructor({ request, seed, maxTokens, maxBufferedEvents, nowMs, nextId, onDrain, onCancel }: FlightOptions) {
    this.request = request;
    this.seed = seed;
    this.submittedAtMs = nowMs;
    this.images = request.visual ? new FlightImages(request.visual) : null;
    this.#open = request.choices;
    this.#isCancelled = request.signal.aborted;
    if (request.signal.aborted) onCancel(this);
    this.#cancel = () => {
      this.#isCancelled = true;
      onCancel(this);
    };
    request.signal.addEventListener('abort', this.#cancel, { once: true });
    this.queue = new EventQueue({ capacity: maxBufferedEvents, onDrain, onLeave: this.#cancel });
    this.sequences = Array.from({ length: request.choices }, (_, choice) => {
      const tokens = [...request.prompt, ...(request.resumed ?? [])];
      return {
        id: nextId(),
        choice,
        flight: this,
        sink: request.openSink(choice),
        constraint: request.openConstraint?.() ?? null,
        tokens,
        keys: request.visual ? promptKeys(tokens, request.visual) : tokens,
        maxTokens,
        principal: request.principal ?? null,
        work: request.prompt.length + maxTokens,
        place: null,
        lastTokenAtMs: 0,
        prefill: { rows: 0, deviceNs: 0 },
        computed: 0,
        servedAt: -1,
        logprobs: [],
        hasToolCall: false,
      };
    });
    if (request.resumed) this.#replay(request.resumed);
  }

  /** What it took, once every choice has ended. */
  get totals(): { readonly usage: Usage; readonly timing: Timing } | null {
    return this.#totals;
  }

  /** Tokens that each choice begins with: the prompt, and those that another engine has chosen. */
  get givenTokens(): number {
    return this.request.prompt.length + (this.request.resumed?.length ?? 0);
  }

  /** Nobody wants the answer any more. */
  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** The first choice has computed the whole prompt: its pages can be shared. */
  get isPrefilled(): boolean {
    return this.#isPrefilled;
  }

  /** The first choice has its place. */
  admitted(cachedTokens: number, nowMs: number): void {
    this.#cachedTokens = cachedTokens;
    this.#admittedAtMs = nowMs;
  }

  /** Takes the token chosen for a running choice; answers whether the choice goes on. What a text stage throws concerns this request only. */
  accept(sequence: Sequence, answer: SampledToken, top: TokenLogprob['top'] | null, nowMs: number): boolean {
    const { prompt, stopTokens, checkpoints } = this.request;
    if (sequence.tokens.length === this.givenTokens) this.#prefilled(sequence, nowMs);
    sequence.tokens.push(answer.token);
    if (sequence.keys !== sequence.tokens) sequence.keys.push(answer.token);
    this.#constrain(sequence, answer.token);
    if (stopTokens.has(answer.token)) return this.#end(sequence, 'stop', nowMs);
    if (top) sequence.logprobs.push({ token: answer.token, logprob: answer.logprob, top });
    const { events, isStopped } = sequence.sink.push(answer.token);
    this.#emit(sequence, events);
    if (isStopped || sequence.constraint?.isComplete) return this.#end(sequence, 'stop', nowMs);
    if (sequence.tokens.length - prompt.length === sequence.maxTokens) return this.#end(sequence, 'length', nowMs);
    if (checkpoints) this.queue.push({ type: 'checkpoint', token: answer.token });
    return true;
  }

  /** Takes the row of the prompt's last token, which is the whole answer of a choice. */
  acceptRow(sequence: Sequence, values: Float32Array, nowMs: number): void {
    this.#prefilled(sequence, nowMs);
    this.queue.push({ type: 'row', choice: sequence.choice, values });
    this.#end(sequence, 'stop', nowMs);
  }

  fail(error: unknown): void {
    this.#unlisten();
    this.queue.fail(error);
  }

  /** Brings the text stage of the one choice to where the tokens that the request brought left it. */
  #replay(tokens: readonly number[]): void {
    const sequence = this.sequences[0]!;
    for (const token of tokens) {
      this.#constrain(sequence, token);
      const { events, isStopped } = sequence.sink.push(token);
      const isOver = isStopped || this.request.stopTokens.has(token) || (sequence.constraint?.isComplete ?? false);
      if (isOver || tokens.length >= sequence.maxTokens) {
        this.#unlisten();
        const reason = 'the answer to go on with has ended already; tokens before its end are wanted';
        throw new CortexError('invalid_request_body', { param: 'cortex_resume', reason });
      }
      this.#emit(sequence, events);
    }
    this.queue.push({ type: 'resumed' });
  }

  #constrain({ constraint }: Sequence, token: number): void {
    if (!constraint || constraint.accept(token)) return;
    throw new CortexError('internal_error', {
      reason: `token ${token} came where the grammar of the answer has none like it`,
    });
  }

  #prefilled(sequence: Sequence, nowMs: number): void {
    if (this.#firstTokenAtMs === 0) this.#firstTokenAtMs = nowMs;
    this.#isPrefilled = true;
    const cachedTokens = sequence.place?.lease.reusedTokens ?? 0;
    this.queue.push({ type: 'prefill-end', choice: sequence.choice, cachedTokens });
  }

  #emit(sequence: Sequence, events: readonly OutputEvent[]): void {
    const { choice } = sequence;
    for (const event of events) {
      if (event.type === 'content') {
        this.queue.push({ type: 'text-delta', choice, text: event.text, logprobs: sequence.logprobs });
        sequence.logprobs = [];
      } else if (event.type === 'reasoning') {
        this.queue.push({ type: 'reasoning-delta', choice, text: event.text });
      } else {
        sequence.hasToolCall = true;
        const { index, id, name } = event;
        this.queue.push({ type: 'tool-call', choice, call: { index, id, name, arguments: event.arguments } });
      }
    }
  }

  #end(sequence: Sequence, why: 'stop' | 'length', nowMs: number): false {
    this.#emit(sequence, sequence.sink.end());
    const reason: FinishReason = why === 'stop' && sequence.hasToolCall ? 'tool_calls' : why;
    const stopString = why === 'stop' ? (sequence.sink.stopString ?? null) : null;
    const { choice, logprobs } = sequence;
    this.queue.push({ type: 'choice-end', choice, reason, stopString, logprobs });
    this.#open -= 1;
    if (this.#open === 0) this.#finish(nowMs);
    return false;
  }

  #finish(nowMs: number): void {
    const prompt = this.request.prompt.length;
    this.#totals = {
      usage: {
        promptTokens: prompt,
        completionTokens: this.sequences.reduce((sum, each) => sum + each.tokens.length - prompt, 0),
        cachedTokens: Math.min(prompt, this.#cachedTokens),
        reasoningTokens: this.sequences.reduce((sum, each) => sum + each.sink.reasoningTokens, 0),
      },
      timing: {
        queueMs: this.#admittedAtMs - this.submittedAtMs,
        prefillMs: this.#firstTokenAtMs - this.#admittedAtMs,
        decodeMs: nowMs - this.#firstTokenAtMs,
        prefillTokens: this.givenTokens - this.#cachedTokens,
      },
    };
    this.queue.push({ type: 'generation-end', ...this.#totals });
    this.#unlisten();
    this.queue.end();
  }

  #unlisten(): void {
    this.request.signal.removeEventListener('abort', this.#cancel);
  }
}
