/** What a model said, told apart: visible answer, reasoning, tool calls. Texts of one kind in a row belong together. */
export type OutputEvent =
  | { readonly type: 'content'; readonly text: string }
  | { readonly type: 'reasoning'; readonly text: string }
  | {
      readonly type: 'tool-call';
      /** Counts from 0 in one answer. */
      readonly index: number;
      readonly id: string;
      readonly name: string;
      /** A JSON object as text. */
      readonly arguments: string;
    };

/** A function that the request offers to the model; only the types of its parameters matter here. */
export interface ToolSchema {
  readonly name: string;
  /** JSON schema of the arguments object, unvalidated. */
  readonly parameters?: unknown;
}
