import type { Usage } from '@helexa/core';

/** What went wrong with an answer, as OpenAI's error body says it. */
export interface Fault {
  readonly message: string;
  readonly type: string;
  readonly code: string;
  /** Further keys of the error body. */
  readonly extra: Readonly<Record<string, unknown>>;
}

export type AnswerFinish = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/**
 * One answer, in a form that belongs to no dialect. Legal sequences are `answer-start (block)* (answer-end | answer-failed)`,
 * where a block is a start, its deltas and its end: never two at once, and a delta is never empty. Only `answer-failed` may
 * come at any time, and it is the last.
 */
export type AnswerEvent =
  | { readonly type: 'answer-start'; readonly id: string; readonly model: string; readonly createdSeconds: number }
  | { readonly type: 'reasoning-start' }
  | { readonly type: 'reasoning-delta'; readonly text: string }
  | { readonly type: 'reasoning-end'; readonly text: string }
  | { readonly type: 'text-start' }
  | { readonly type: 'text-delta'; readonly text: string }
  | { readonly type: 'text-end'; readonly text: string }
  | { readonly type: 'tool-start'; readonly id: string; readonly name: string }
  | { readonly type: 'tool-delta'; readonly fragment: string }
  /** `arguments` is the text of a JSON object. */
  | { readonly type: 'tool-end'; readonly id: string; readonly name: string; readonly arguments: string }
  | {
      readonly type: 'answer-end';
      readonly finish: AnswerFinish;
      /** The stop string that was met. */
      readonly stopString: string | null;
      /** Null when the neuron did not say; then only `deltas` were counted. */
      readonly usage: Usage | null;
      readonly deltas: number;
    }
  | { readonly type: 'answer-failed'; readonly fault: Fault };

/** What a converter makes of one input: its next state, and what leaves. */
export interface Step<State, Output> {
  readonly state: State;
  readonly events: readonly Output[];
}
