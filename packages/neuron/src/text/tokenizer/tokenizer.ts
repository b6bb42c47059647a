/** What the engine asks of a tokenizer. Token text is bytes: only a whole sequence of tokens is sure to be valid UTF-8. */
export interface Tokenizer {
  /** One more than the highest token id. The model's own vocabulary may be larger (padding rows). */
  readonly vocabSize: number;
  /** Ids of added tokens marked special: control tokens that a decode may leave out. */
  readonly specialIds: ReadonlySet<number>;
  /** Ids of every added token, special or not: `<think>` and `<tool_call>` are such. */
  readonly addedIds: ReadonlySet<number>;
  readonly bosId: number | null;
  readonly eosId: number | null;
  /** Spaces dropped from the very start of a decoded sequence (SentencePiece vocabularies). */
  readonly leadingSpaces: number;
  /**
   * Token ids of a text. Added tokens that stand in the text become their own ids. With `special`, the sequence's own
   * begin and end tokens are added as the tokenizer says: right for raw prompts, wrong for rendered chat templates.
   *
   * @example tokenizer.encode('Hello', { special: true })
   */
  encode(text: string, options: { readonly special: boolean }): number[];
  /** Text of a whole sequence; bytes that are not valid UTF-8 become U+FFFD. */
  decode(ids: readonly number[], options?: { readonly skipSpecial?: boolean }): string;
  /** Bytes that a token stands for; empty for an id that is not in the vocabulary. */
  bytesOf(id: number): Uint8Array;
  /** Id of an added token or vocabulary entry with exactly this spelling. */
  idOf(token: string): number | undefined;
  /** Spelling of a token, as the vocabulary writes it. */
  tokenOf(id: number): string | undefined;
}
