import { createParser, type EventSourceParser } from 'eventsource-parser';
import { CortexError } from '../errors/cortex-error.js';

/** One server-sent event. */
export interface SseEvent {
  readonly event?: string;
  readonly data: string;
}

/** Data of the event that ends an OpenAI stream. */
export const sseDone = '[DONE]';

/** Headers of a response that streams events; nothing between here and the client may hold them back. */
export const sseHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** Wire form of one event; data with line breaks becomes several data lines. */
export const encodeSse = (data: string, event?: string): string => {
  if (event !== undefined && /[\r\n]/.test(event)) {
    throw new CortexError('internal_error', { reason: `the event name '${event}' has a line break` });
  }
  const head = event === undefined ? '' : `event: ${event}\n`;
  return `${head}data: ${data.split(/\r\n|\r|\n/).join('\ndata: ')}\n\n`;
};

/** Turns the chunks of a response, cut anywhere, back into its events. */
export class SseDecoder {
  readonly #text = new TextDecoder('utf-8');
  readonly #parser: EventSourceParser;
  #events: SseEvent[] = [];
  #endsInReturn = false;

  constructor(options: { readonly onComment?: (comment: string) => void } = {}) {
    this.#parser = createParser({
      onEvent: ({ event, data }) => this.#events.push(event === undefined ? { data } : { event, data }),
      ...(options.onComment ? { onComment: options.onComment } : {}),
    });
  }

  /** Events that this chunk completes. */
  push(chunk: Uint8Array | string): SseEvent[] {
    return this.#feed(typeof chunk === 'string' ? chunk : this.#text.decode(chunk, { stream: true }));
  }

  /** Events that the end of the stream completes; one without its blank line is dropped, as the standard wants. */
  end(): SseEvent[] {
    const events = this.#feed(this.#text.decode());
    // The parser waits to see whether a final return is the first half of a line break.
    return this.#endsInReturn ? [...events, ...this.#feed('\n')] : events;
  }

  #feed(text: string): SseEvent[] {
    if (text === '') return [];
    this.#endsInReturn = text.endsWith('\r');
    this.#parser.feed(text);
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
