/** Everything that a generation tells its reader, in the order it happens. Deltas are never empty. */
export type GenerationEvent =
  | { readonly type: 'prefill-end'; readonly choice: number; readonly cachedTokens: number }
  | {
      readonly type: 'text-delta';
      readonly choice: number;
      readonly text: string;
      readonly logprobs: readonly TokenLogprob[];
    }
  /** The answer of a model without a head: the row of the prompt's last token. */
  | { readonly type: 'row'; readonly choice: number; readonly values: Float32Array }
  | { readonly type: 'reasoning-delta'; readonly choice: number; readonly text: string }
  | { readonly type: 'tool-call'; readonly choice: number; readonly call: ToolCall }
  | {
      readonly type: 'choice-end';
      readonly choice: number;
      readonly reason: FinishReason;
      /** The stop string that ended it; null when none did. */
      readonly stopString: string | null;
      /** Log-probabilities of tokens whose text was not shown in a delta of its own. */
      readonly logprobs: readonly TokenLogprob[];
    }
  /** What came so far is all that the tokens up to this one made. */
  | { readonly type: 'checkpoint'; readonly token: number }
  /** What came so far was made by the tokens that the request brought. */
  | { readonly type: 'resumed' }
  | { readonly type: 'generation-end'; readonly usage: Usage; readonly timing: Timing };

export type FinishReason = 'stop' | 'length' | 'tool_calls';

export interface ToolCall {
  /** Position among the calls of its choice. */
  readonly index: number;
  readonly id: string;
  readonly name: string;
  /** Complete JSON text. */
  readonly arguments: string;
}

export interface TokenLogprob {
  readonly token: number;
  readonly logprob: number;
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  readonly reasoningTokens: number;
}

export interface Timing {
  readonly queueMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  /** Prompt tokens that were computed, not found. */
  readonly prefillTokens: number;
}
