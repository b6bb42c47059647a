import type { ToolGrammar } from './calls-node.js';

/** What comes before an answer in a chat. */
export interface ConstrainedChat {
  readonly prompt: readonly number[];
  /** The model may open reasoning that the prompt neither opens nor closes. */
  readonly mayReason: boolean;
}

/** What a request wants an answer to be, whatever the model's own formats are. */
export type WantedAnswer =
  | { readonly kind: 'object' }
  | { readonly kind: 'schema'; readonly schema: unknown; readonly param: string }
  | {
      readonly kind: 'calls';
      readonly tools: readonly ToolGrammar[];
      /** The answer is calls and nothing else; otherwise calls may stand in it. */
      readonly isRequired: boolean;
      readonly isSingle: boolean;
      /** What an answer without calls has to be; null: any text. */
      readonly otherwise: WantedAnswer | null;
    };
