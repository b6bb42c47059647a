import type { OutputEvent, ToolSchema } from './output-event.js';
import type { MarkerPair, OutputFormat } from './output-format.js';
import { BareCalls, type Piece } from './tool-dialects/bare-calls.js';
import type { MarkedDialect, ParsedCall } from './tool-dialects/tool-dialect.js';

export type Marker = 'reasoning-open' | 'reasoning-close' | 'tool-open' | 'tool-close' | 'tool-tag';

export interface OutputParserOptions {
  readonly format: OutputFormat;
  /** The prompt ended inside an open reasoning mark. */
  readonly startsInReasoning: boolean;
  /** Tools of the request, for the types of their arguments; null when it offers none: calls are then plain text. */
  readonly tools: readonly ToolSchema[] | null;
  readonly newCallId: () => string;
}

type Channel = 'content' | 'reasoning';

interface TextMarker {
  readonly text: string;
  readonly marker: Marker;
}

/**
 * Tells a stream of output text apart into content, reasoning and tool calls. Marks that are tokens come through `mark`;
 * marks that are plain text are found here, with a possible beginning of one held back. Newlines around marks belong to
 * the format and are dropped; everything else that is not a whole call comes out as text. How the text is cut into pieces
 * makes no difference.
 */
export class OutputParser {
  readonly #options: OutputParserOptions;
  readonly #textMarkers: readonly TextMarker[];
  readonly #dialect: MarkedDialect | null;
  readonly #bareCalls: BareCalls | null;
  readonly #trims: boolean;
  #channel: Channel;
  /** Text of the marked call that is open, or null. */
  #call: string | null = null;
  #calls = 0;
  /** Text that may be the beginning of a mark. */
  #held = '';
  /** Newlines that are dropped when a mark follows. */
  #newlines = '';
  #isAfterMark: boolean;

  constructor(options: OutputParserOptions) {
    const { reasoning } = options.format;
    const tools = options.tools === null ? null : options.format.tools;
    this.#options = options;
    this.#dialect = tools?.kind === 'marked' ? tools.dialect : null;
    this.#bareCalls = tools?.kind === 'bare' ? new BareCalls(tools.dialect, options.tools ?? []) : null;
    this.#textMarkers = [
      ...textMarkers(reasoning, 'reasoning-open', 'reasoning-close'),
      ...textMarkers(tools?.kind === 'marked' ? tools.marks : null, 'tool-open', 'tool-close'),
    ];
    this.#trims = reasoning !== null || tools !== null;
    this.#channel = options.startsInReasoning ? 'reasoning' : 'content';
    this.#isAfterMark = options.startsInReasoning;
  }

  get isReasoning(): boolean {
    return this.#channel === 'reasoning' && this.#call === null;
  }

  push(text: string): OutputEvent[] {
    const events: OutputEvent[] = [];
    this.#held += text;
    for (;;) {
      const found = this.#earliestMarker();
      if (found === null) break;
      this.#write(this.#held.slice(0, found.at), events);
      this.#held = this.#held.slice(found.at + found.text.length);
      this.#apply(found.marker, events);
    }
    const keep = this.#partialMarker();
    this.#write(this.#held.slice(0, this.#held.length - keep), events);
    this.#held = this.#held.slice(this.#held.length - keep);
    return events;
  }

  /** A mark that came as a token of its own. */
  mark(marker: Marker): OutputEvent[] {
    const events: OutputEvent[] = [];
    this.#releaseHeld(events);
    this.#apply(marker, events);
    return events;
  }

  /** Ends the output: what was held back is text after all, and so is a call that was not finished. */
  end(): OutputEvent[] {
    const events: OutputEvent[] = [];
    this.#releaseHeld(events);
    if (this.#call !== null) this.#writeCallAsText('', events);
    this.#take(this.#bareCalls?.end() ?? [], events);
    this.#emit(this.#newlines, events);
    this.#newlines = '';
    return events;
  }

  #releaseHeld(events: OutputEvent[]): void {
    const held = this.#held;
    this.#held = '';
    this.#write(held, events);
  }

  #apply(marker: Marker, events: OutputEvent[]): void {
    switch (marker) {
      case 'tool-tag':
        if (this.#channel === 'content') this.#take(this.#bareCalls?.tag() ?? [], events);
        return;
      case 'tool-open':
        if (this.#call !== null) this.#writeCallAsText('', events);
        this.#call = '';
        return;
      case 'tool-close':
        if (this.#call !== null) this.#closeCall(this.#call, events);
        else this.#write(this.#dialect?.close ?? '', events);
        return;
      default:
        this.#switchTo(marker === 'reasoning-open' ? 'reasoning' : 'content', events);
    }
  }

  /** A mark of reasoning inside of a call is part of what the call says. */
  #switchTo(channel: Channel, events: OutputEvent[]): void {
    const { reasoning } = this.#options.format;
    if (this.#call !== null) {
      this.#call += (channel === 'reasoning' ? reasoning?.open : reasoning?.close) ?? '';
      return;
    }
    if (this.#channel === 'content') this.#take(this.#bareCalls?.end() ?? [], events);
    this.#newlines = '';
    this.#channel = channel;
    this.#isAfterMark = true;
  }

  #closeCall(body: string, events: OutputEvent[]): void {
    const { tools } = this.#options;
    const calls = this.#dialect?.parse(body, tools ?? []) ?? null;
    if (calls === null) {
      this.#writeCallAsText(this.#dialect?.close ?? '', events);
      return;
    }
    this.#call = null;
    for (const call of calls) this.#emitCall(call, events);
  }

  #writeCallAsText(close: string, events: OutputEvent[]): void {
    const text = `${this.#dialect?.open ?? ''}${this.#call}${close}`;
    this.#call = null;
    this.#write(text, events);
  }

  #write(text: string, events: OutputEvent[]): void {
    if (text === '') return;
    if (this.#call !== null) this.#call += text;
    else if (this.#bareCalls !== null && this.#channel === 'content') this.#take(this.#bareCalls.push(text), events);
    else this.#writeText(text, events);
  }

  #take(pieces: readonly Piece[], events: OutputEvent[]): void {
    for (const piece of pieces) {
      if (piece.type === 'text') this.#writeText(piece.text, events);
      else this.#emitCall(piece.call, events);
    }
  }

  #writeText(text: string, events: OutputEvent[]): void {
    let body = text;
    if (this.#isAfterMark) {
      body = body.replace(/^\n+/, '');
      if (body === '') return;
      this.#isAfterMark = false;
    }
    if (!this.#trims) {
      this.#emit(body, events);
      return;
    }
    let end = body.length;
    while (end > 0 && body[end - 1] === '\n') end--;
    if (end === 0) {
      this.#newlines += body;
      return;
    }
    this.#emit(this.#newlines + body.slice(0, end), events);
    this.#newlines = body.slice(end);
  }

  #emitCall(call: ParsedCall, events: OutputEvent[]): void {
    this.#newlines = '';
    this.#isAfterMark = true;
    events.push({ type: 'tool-call', index: this.#calls++, id: this.#options.newCallId(), ...call });
  }

  #emit(text: string, events: OutputEvent[]): void {
    if (text === '') return;
    const last = events.at(-1);
    if (last?.type === this.#channel) events[events.length - 1] = { ...last, text: last.text + text };
    else events.push({ type: this.#channel, text });
  }

  #earliestMarker(): (TextMarker & { at: number }) | null {
    let earliest: (TextMarker & { at: number }) | null = null;
    for (const marker of this.#textMarkers) {
      const at = this.#held.indexOf(marker.text);
      if (at >= 0 && (earliest === null || at < earliest.at)) earliest = { ...marker, at };
    }
    return earliest;
  }

  /** Length of the longest end of the text that may be the beginning of a mark. */
  #partialMarker(): number {
    let longest = 0;
    for (const { text } of this.#textMarkers) {
      for (let length = Math.min(text.length - 1, this.#held.length); length > longest; length--) {
        if (this.#held.endsWith(text.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}

function textMarkers(pair: MarkerPair | null, open: Marker, close: Marker): TextMarker[] {
  if (pair === null || pair.openId !== null) return [];
  return [
    { text: pair.open, marker: open },
    { text: pair.close, marker: close },
  ];
}
