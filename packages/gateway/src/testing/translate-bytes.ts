import { SseDecoder } from '@helexa/core';
import { EventSplitter } from '../proxy/event-splitter.js';
import type { AnswerTranslator } from '../translate/stream-translator.js';

/** Everything that the translator makes of these bytes, given in these pieces, as the events that a client reads. */
export const translateBytes = (translator: AnswerTranslator, pieces: readonly Buffer[]): unknown[] => {
  const splitter = new EventSplitter();
  const decoder = new SseDecoder();
  let text = '';
  for (const piece of pieces) {
    const whole = splitter.push(piece);
    if (whole) for (const { data } of decoder.push(whole)) text += translator.event(data);
  }
  for (const { data } of decoder.end()) text += translator.event(data);
  return readFrames(text + translator.end());
};

/** The events of a stream; the name of each has to be the type in its data. */
export const readFrames = (text: string): unknown[] =>
  new SseDecoder().push(text).map(({ event, data }) => {
    const value = JSON.parse(data) as { type?: unknown };
    return value.type === event ? value : { misnamed: event, value };
  });

/** Bytes cut at these places. */
export const cutBytes = (bytes: Buffer, at: readonly number[]): Buffer[] => {
  const marks = [...new Set(at.map((position) => position % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...marks, bytes.length].map((end, index) => bytes.subarray(marks[index - 1] ?? 0, end));
};
