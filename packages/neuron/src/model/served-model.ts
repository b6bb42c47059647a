import type { Engine } from '../engine/engine.js';
import type { TextSink, TokenConstraint } from '../engine/generation.js';
import type { ConstrainedChat, WantedAnswer } from '../grammar/wanted-answer.js';
import type { GenerationDefaults } from '../text/generation-defaults.js';
import type { ToolSchema } from '../text/output-event.js';
import type { Tokenizer } from '../text/tokenizer/tokenizer.js';
import type { ImageParameters } from '../vision/image-parameters.js';

/** What a chat template renders: messages in the template's own shape, and its variables. */
export interface ChatPrompt {
  readonly messages: readonly unknown[];
  readonly tools: readonly unknown[] | null;
  /** Extra variables, such as `enable_thinking`. */
  readonly variables: Readonly<Record<string, unknown>>;
}

/** How the tokens of one answer become text. */
export interface SinkOptions {
  readonly stops: readonly string[];
  /** Chat answers are told apart into content, reasoning and tool calls; plain completions are text. */
  readonly chat: { readonly prompt: readonly number[]; readonly tools: readonly ToolSchema[] | null } | null;
}

/** What is known of a model's vectors. */
export interface EmbeddingFacts {
  readonly width: number;
  /** Lengths that vectors may be cut to; null: any up to their width. */
  readonly dimensions: readonly number[] | null;
}

/** A model that answers: everything a request handler asks of it. Owner: the model table. */
export interface ServedModel {
  readonly id: string;
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly stopTokens: ReadonlySet<number>;
  readonly samplingDefaults: GenerationDefaults;
  readonly facts: ModelDescription;
  /** How images become patches; null: the model takes text only. */
  readonly images: ImageParameters | null;
  /** Vectors that the model makes of texts, in place of generating; null: it generates. */
  readonly embedding: EmbeddingFacts | null;
  /** Renders a conversation and encodes it; throws `template_render_failed`. */
  encodeChat(prompt: ChatPrompt): number[];
  openSink(options: SinkOptions): TextSink;
  /**
   * Prepares what holds the choices of an answer to a shape; `chat` is null for a plain completion. Throws
   * `grammar_unsupported` or `grammar_unusable` for what cannot be held.
   */
  constrain(wanted: WantedAnswer, chat: ConstrainedChat | null): Promise<() => TokenConstraint>;
  close(): Promise<void>;
}

/** What a model says about itself to clients and gateways. */
export interface ModelDescription {
  readonly architecture: string;
  /** Name of the backend that it runs on. */
  readonly backend: string;
  readonly capabilities: readonly string[];
  readonly toolCalls: boolean;
  /** Literal markers around reasoning; null when the model does not reason. */
  readonly reasoning: { readonly open: string; readonly close: string } | null;
  readonly vocab: number;
  readonly maxBias: number;
  readonly maxTopLogprobs: number;
  readonly devices: readonly number[];
  /** Everything the model takes on its devices. */
  readonly residentBytes: number;
  /** Over all ranks. */
  readonly kvBytesPerToken: number;
  /** Sentences on what is less than asked for. */
  readonly notes: readonly string[];
}
