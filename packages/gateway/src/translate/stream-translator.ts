import { type AnthropicStreamEvent, encodeSse, type ResponsesStreamEvent } from '@helexa/core';
import type { AnswerEvent, Fault } from './answer-event.js';
import {
  type AnthropicEventsOptions,
  foldAnthropicEvents,
  startAnthropicEvents,
  toAnthropicEvents,
} from './anthropic-events.js';
import { endChatStream, readChatAnswer, readChatEvent, startChatReader } from './chat-reader.js';
import { type ResponsesEventsOptions, startResponsesEvents, toResponsesEvents } from './responses-events.js';

/** An answer in one piece, in the caller's dialect, or what went wrong with it. */
export type WholeAnswer = { readonly body: unknown } | { readonly fault: Fault };

/**
 * Says the answer to one request in the dialect of its caller. What was said while nobody had answered yet stands, whichever
 * neuron answers in the end.
 */
export interface AnswerTranslator {
  /** What comes now is of this node; nothing of another one has been said. */
  begin(node: string): void;
  /** What one event of the neuron's stream becomes. */
  event(data: string): string;
  /** What the end of the neuron's bytes becomes; nothing when the stream has ended itself. */
  end(): string;
  /** What is sent when nothing has come for a while. */
  silence(): string;
  /** Whether the answer is over; whatever comes then is not for the caller. */
  readonly isOver: boolean;
  whole(body: unknown): WholeAnswer;
  /** What an error becomes in a stream that has been opened. */
  fail(fault: Fault): string;
  /** What ended the answer before its time. */
  readonly fault: Fault | undefined;
}

export interface TranslatorOptions {
  readonly atMostOneCall: boolean;
}

interface Projection<State, Output extends { readonly type: string }> {
  readonly start: () => State;
  readonly step: (state: State, event: AnswerEvent) => { readonly state: State; readonly events: readonly Output[] };
  readonly silence: (state: State) => { readonly state: State; readonly text: string };
  readonly fold: (events: readonly Output[]) => unknown;
}

const frames = (events: readonly { readonly type: string }[]): string =>
  events.map((event) => encodeSse(JSON.stringify(event), event.type)).join('');

const translator = <State, Output extends { readonly type: string }>(
  { atMostOneCall }: TranslatorOptions,
  projection: Projection<State, Output>,
): AnswerTranslator => {
  let options = { node: '', atMostOneCall };
  let reader = startChatReader(options);
  let state = projection.start();
  let fault: Fault | undefined;
  const project = (events: readonly AnswerEvent[]): Output[] =>
    events.flatMap((event) => {
      if (event.type === 'answer-failed') fault = event.fault;
      const next = projection.step(state, event);
      state = next.state;
      return next.events;
    });
  return {
    begin: (node) => {
      options = { node, atMostOneCall };
      reader = startChatReader(options);
    },
    event: (data) => {
      const next = readChatEvent(reader, data);
      reader = next.state;
      return frames(project(next.events));
    },
    end: () => {
      const next = endChatStream(reader);
      reader = next.state;
      return frames(project(next.events));
    },
    silence: () => {
      const next = projection.silence(state);
      state = next.state;
      return next.text;
    },
    fail: (given) => frames(project([{ type: 'answer-failed', fault: given }])),
    get isOver() {
      return reader.isOver;
    },
    get fault() {
      return fault;
    },
    whole: (body) => {
      const events = project(readChatAnswer(body, options));
      return fault ? { fault } : { body: projection.fold(events) };
    },
  };
};

export const anthropicTranslator = (options: TranslatorOptions & AnthropicEventsOptions): AnswerTranslator =>
  translator<ReturnType<typeof startAnthropicEvents>, AnthropicStreamEvent>(options, {
    start: () => startAnthropicEvents(options),
    step: toAnthropicEvents,
    silence: (before) => {
      const { state, events } = toAnthropicEvents(before, { type: 'silence' });
      return { state, text: frames(events) };
    },
    fold: foldAnthropicEvents,
  });

export const responsesTranslator = (options: TranslatorOptions & ResponsesEventsOptions): AnswerTranslator =>
  translator<ReturnType<typeof startResponsesEvents>, ResponsesStreamEvent>(options, {
    start: () => startResponsesEvents(options),
    step: toResponsesEvents,
    // A comment keeps the connection; an event without meaning would have to mean something.
    silence: (state) => ({ state, text: ': keep-alive\n\n' }),
    // The last event of a stream holds the whole response.
    fold: (events) => {
      const last = events.at(-1);
      return last && 'response' in last ? last.response : undefined;
    },
  });
