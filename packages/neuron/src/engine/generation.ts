import type { CortexError } from '@helexa/core';
import type { OutputEvent } from '../text/output-event.js';
import type { VisualPrompt } from '../vision/visual-prompt.js';
import type { GenerationEvent } from './events.js';
import type { SamplingParameters } from './step-writer.js';

/** Turns the tokens of one choice into text, one by one. Owner: the engine, from admission to the choice's end. */
export interface TextSink {
  /** `isStopped`: a stop string was met; what came before it is in `events` or comes with `end`. */
  push(token: number): { readonly events: readonly OutputEvent[]; readonly isStopped: boolean };
  /** What was held back. */
  end(): readonly OutputEvent[];
  /** The stop string that was met, if one was. */
  readonly stopString?: string | null;
  /** Tokens so far that were part of reasoning. */
  readonly reasoningTokens: number;
}

/** Says which tokens may come next in one choice. Owner: the engine, as of the sink. */
export interface TokenConstraint {
  /** A bit for each token that may come next, at t % 32 of word t / 32; null: any may. Not to be written to. */
  mask(): Int32Array | null;
  /** Takes the token that came; false when it may not, and nothing has happened. */
  accept(token: number): boolean;
  /** Nothing may come any more: the choice ends. */
  readonly isComplete: boolean;
}

export interface GenerationRequest {
  /** Who asks, for a fair share of the machine; null or absent: nobody known. */
  readonly principal?: string | null;
  readonly prompt: readonly number[];
  /** Of a prompt with images. */
  readonly visual?: VisualPrompt | null;
  /** Most tokens of each choice; the engine never goes beyond the context. */
  readonly maxTokens: number;
  readonly choices: number;
  readonly sampling: SamplingParameters;
  /** 64 bits; null: drawn at admission. */
  readonly seed: bigint | null;
  /** Tokens that end a choice and are not shown. */
  readonly stopTokens: ReadonlySet<number>;
  readonly openSink: (choice: number) => TextSink;
  /** Absent or null: the model may say what it likes. */
  readonly openConstraint?: (() => TokenConstraint) | null;
  /** Says after the events of each token which one it was, as long as the choice goes on. */
  readonly checkpoints?: boolean;
  /** Tokens that another engine has chosen already: they are told first, up to a `resumed` event. Of one choice only. */
  readonly resumed?: readonly number[];
  /** Fires when nobody wants the answer any more. */
  readonly signal: AbortSignal;
}

/** A generation under way: read it to its end, or stop reading, which cancels it. */
export type Generation = AsyncIterable<GenerationEvent>;

export type EngineState =
  | { readonly kind: 'running' }
  | { readonly kind: 'failed'; readonly error: CortexError }
  | { readonly kind: 'closed' };
