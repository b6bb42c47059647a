import { SseDecoder } from '@helexa/core';
import { EventSplitter } from '../proxy/event-splitter.js';
import type { AnswerTranslator } from '../translate/stream-translator.js';

/** What the gateway writes to its client for these reads from a neuron: chat passes as it is, other dialects through a translator. */
export const servedBytes = (reads: readonly Buffer[], translator?: AnswerTranslator): Buffer[] => {
  const splitter = new EventSplitter();
  const decoder = new SseDecoder();
  const written: Buffer[] = [];
  const write = (text: string): void => {
    if (text !== '') written.push(Buffer.from(text));
  };
  for (const read of reads) {
    const whole = splitter.push(read);
    if (!whole) continue;
    if (translator)
      write(
        decoder
          .push(whole)
          .map(({ data }) => translator.event(data))
          .join(''),
      );
    else written.push(whole);
  }
  if (translator)
    write(
      decoder
        .end()
        .map(({ data }) => translator.event(data))
        .join('') + translator.end(),
    );
  return written;
};

/** A `fetch` that answers with these writes, each in a read of its own. */
export const fetchOf = (writes: readonly Uint8Array[]): typeof fetch => {
  const answer = async (): Promise<Response> =>
    new Response(
      new ReadableStream({
        start: (controller) => {
          for (const write of writes) controller.enqueue(write);
          controller.close();
        },
      }),
      { headers: { 'content-type': 'text/event-stream; charset=utf-8' } },
    );
  return answer;
};
