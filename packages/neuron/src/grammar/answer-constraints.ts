import { CortexError } from '@helexa/core';
import type { TokenConstraint } from '../engine/generation.js';
import type { ModelText } from '../text/model-text.js';
import { reasoningAt, type ToolFormat } from '../text/output-format.js';
import { type AnswerOpening, answerGrammar } from './answer-grammar.js';
import { GrammarCompiler } from './grammar-compiler.js';
import type { ConstrainedChat, WantedAnswer } from './wanted-answer.js';

export interface AnswerConstraintsOptions {
  readonly modelId: string;
  /** Tokens that the model chooses among: more than the tokenizer knows, as a rule. */
  readonly vocab: number;
  readonly text: Pick<ModelText, 'tokenizer' | 'format' | 'stopTokens'>;
  readonly nowMs: () => number;
}

/** Holds a model's answers to a shape. Owner: the model; it holds memory only. */
export class AnswerConstraints {
  readonly #options: AnswerConstraintsOptions;
  readonly #compiler: GrammarCompiler;

  constructor(options: AnswerConstraintsOptions) {
    const { vocab, text, nowMs } = options;
    const { tokenizer, stopTokens } = text;
    this.#options = options;
    const vocabulary = {
      size: vocab,
      marks: new Set([...tokenizer.addedIds, ...tokenizer.specialIds]),
      stopTokens,
      bytesOf: (token: number) => tokenizer.bytesOf(token),
    };
    this.#compiler = new GrammarCompiler(vocabulary, nowMs);
  }

  /** Prepares constraints for the choices of one answer; `chat` is null for a plain completion. */
  async constrain(wanted: WantedAnswer, chat: ConstrainedChat | null): Promise<() => TokenConstraint> {
    const tools = this.#toolFormat(wanted);
    const opening = this.#openingOf(chat);
    const refuse = (reason: string): never => {
      throw new CortexError('grammar_unusable', { param: paramOf(wanted), reason });
    };
    const key = JSON.stringify([wanted, opening.reasoning]);
    const grammar = await this.#compiler.compile(key, () => answerGrammar(wanted, tools, opening), refuse);
    return () => grammar.open();
  }

  #toolFormat(wanted: WantedAnswer): ToolFormat | null {
    const { modelId, text } = this.#options;
    if (wanted.kind !== 'calls' || text.format.tools) return text.format.tools;
    const reason = `it is not known how '${modelId}' writes calls of tools`;
    throw new CortexError('grammar_unusable', { param: paramOf(wanted), reason });
  }

  #openingOf(chat: ConstrainedChat | null): AnswerOpening {
    const { tokenizer, format } = this.#options.text;
    const at = chat === null ? 'closed' : reasoningAt(chat.prompt, tokenizer, format);
    return {
      reasoning: at === 'open' ? 'open' : at === 'unsaid' && chat?.mayReason ? 'possible' : 'none',
      marks: format.reasoning,
      hasLeadingSpace: tokenizer.leadingSpaces > 0,
    };
  }
}

const paramOf = (wanted: WantedAnswer): string => (wanted.kind === 'calls' ? 'tools' : 'response_format');
