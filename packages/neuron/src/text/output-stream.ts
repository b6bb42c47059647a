import { Detokenizer } from './detokenizer.js';
import type { OutputEvent, ToolSchema } from './output-event.js';
import { type OutputFormat, opensReasoning } from './output-format.js';
import { type Marker, OutputParser } from './output-parser.js';
import { StopMatcher } from './stop-matcher.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

export interface OutputStreamOptions {
  readonly tokenizer: Tokenizer;
  readonly stops: readonly string[];
  /** Null for a plain completion: everything is content. */
  readonly chat: {
    readonly format: OutputFormat;
    /** Ids of the rendered prompt: its end tells whether reasoning is open already. */
    readonly prompt: readonly number[];
    readonly tools: readonly ToolSchema[] | null;
    readonly newCallId: () => string;
  } | null;
}

export interface OutputStep {
  readonly events: readonly OutputEvent[];
  /** A stop string was met: nothing after it is shown. */
  readonly isStopped: boolean;
}

/** The way of one answer from token ids to events: detokenise, watch for stop strings, tell the parts apart. */
export class OutputStream {
  readonly #tokenizer: Tokenizer;
  readonly #detokenizer: Detokenizer;
  readonly #matcher: StopMatcher;
  readonly #parser: OutputParser | null;
  readonly #marks: ReadonlyMap<number, Marker>;
  #reasoningTokens = 0;

  constructor({ tokenizer, stops, chat }: OutputStreamOptions) {
    this.#tokenizer = tokenizer;
    this.#detokenizer = new Detokenizer(tokenizer, { skipSpecial: true });
    this.#matcher = new StopMatcher(stops);
    this.#marks = chat === null ? new Map() : markIds(chat.format, chat.tools !== null);
    this.#parser =
      chat === null
        ? null
        : new OutputParser({
            format: chat.format,
            startsInReasoning: opensReasoning(chat.prompt, tokenizer, chat.format),
            tools: chat.tools,
            newCallId: chat.newCallId,
          });
  }

  /** Tokens so far that were part of reasoning, without its marks. */
  get reasoningTokens(): number {
    return this.#reasoningTokens;
  }

  /** The stop string that was met, if one was. */
  get stopString(): string | null {
    return this.#matcher.stopped;
  }

  push(token: number): OutputStep {
    const marker = this.#marks.get(token);
    if (marker !== undefined) return this.#pushMarker(token, marker);
    if (this.#parser?.isReasoning) this.#reasoningTokens++;
    const { text, stopped } = this.#matcher.push(this.#detokenizer.push(token));
    return { events: this.#parse(text), isStopped: stopped !== null };
  }

  /** Ends the answer: what was held back. */
  end(): readonly OutputEvent[] {
    const before = this.#matcher.push(this.#detokenizer.end());
    const events = this.#parse(before.text + this.#matcher.flush().text);
    return [...events, ...(this.#parser?.end() ?? [])];
  }

  /** Text before a mark is complete; the mark's own text is not shown, but it may complete a stop string. */
  #pushMarker(token: number, marker: Marker): OutputStep {
    const spelled = this.#tokenizer.tokenOf(token) ?? '';
    const first = this.#matcher.push(this.#detokenizer.end() + spelled);
    const rest = first.stopped === null ? this.#matcher.flush() : first;
    if (rest.stopped !== null) {
      const text = first.stopped === null ? first.text + rest.text : first.text;
      return { events: this.#parse(text), isStopped: true };
    }
    const text = first.text + rest.text;
    const events = this.#parse(text.slice(0, text.length - spelled.length));
    return { events: [...events, ...(this.#parser?.mark(marker) ?? [])], isStopped: false };
  }

  #parse(text: string): OutputEvent[] {
    if (text === '') return [];
    return this.#parser === null ? [{ type: 'content', text }] : this.#parser.push(text);
  }
}

function markIds({ reasoning, tools }: OutputFormat, hasTools: boolean): ReadonlyMap<number, Marker> {
  const marks = new Map<number, Marker>();
  if (reasoning !== null && reasoning.openId !== null && reasoning.closeId !== null) {
    marks.set(reasoning.openId, 'reasoning-open');
    marks.set(reasoning.closeId, 'reasoning-close');
  }
  if (!hasTools || tools === null) return marks;
  if (tools.kind === 'bare') {
    if (tools.tagId !== null) marks.set(tools.tagId, 'tool-tag');
  } else if (tools.marks.openId !== null && tools.marks.closeId !== null) {
    marks.set(tools.marks.openId, 'tool-open');
    marks.set(tools.marks.closeId, 'tool-close');
  }
  return marks;
}
