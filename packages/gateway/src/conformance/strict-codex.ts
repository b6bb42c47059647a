/**
 * Reads a responses stream by the rules of a coding agent: it acts on whole items, on a few deltas and on how the response ended;
 * usage has three numbers, and its details, where they are, their one.
 */
import { SseDecoder } from '@helexa/core';
import { z } from 'zod';
import type { Heard } from './heard.js';

const item = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('message'),
    id: z.string().startsWith('msg_'),
    role: z.literal('assistant'),
    content: z.array(z.object({ type: z.literal('output_text'), text: z.string() })),
  }),
  z.object({
    type: z.literal('reasoning'),
    id: z.string().startsWith('rs_'),
    summary: z.array(z.object({ type: z.literal('summary_text'), text: z.string() })),
    content: z.array(z.object({ type: z.literal('reasoning_text'), text: z.string() })).nullish(),
  }),
  z.object({
    type: z.literal('function_call'),
    id: z.string().startsWith('fc_'),
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
]);
const usage = z.object({
  input_tokens: z.int(),
  input_tokens_details: z.object({ cached_tokens: z.int() }).nullish(),
  output_tokens: z.int(),
  output_tokens_details: z.object({ reasoning_tokens: z.int() }).nullish(),
  total_tokens: z.int(),
});
const ended = z.object({ response: z.object({ id: z.string(), usage: usage.nullish() }) });
const failed = z.object({ response: z.object({ error: z.object({ code: z.string(), message: z.string() }) }) });
const textDelta = z.object({ delta: z.string() });
const summaryDelta = textDelta.extend({ summary_index: z.int() });
const reasoningDelta = textDelta.extend({ content_index: z.int() });

/** Throws what the agent would: also when the stream ends before it said how. */
export const readAsCodex = (writes: readonly Buffer[]): Heard => {
  let [text, said, thought] = ['', '', ''];
  let reasoning = '';
  let sequence = -1;
  const calls: Heard['calls'][number][] = [];
  for (const { event, data } of new SseDecoder().push(Buffer.concat(writes))) {
    const value = z.looseObject({ type: z.string(), sequence_number: z.int() }).parse(JSON.parse(data));
    if (value.type !== event) throw new Error(`the event '${event}' has the type '${value.type}'`);
    if (value.sequence_number <= sequence) throw new Error('a sequence number does not rise');
    sequence = value.sequence_number;
    if (event === 'response.output_text.delta') said += textDelta.parse(value).delta;
    if (event === 'response.reasoning_summary_text.delta') thought += summaryDelta.parse(value).delta;
    if (event === 'response.reasoning_text.delta') thought += reasoningDelta.parse(value).delta;
    if (event === 'response.failed') throw new Error(failed.parse(value).response.error.code);
    if (event === 'response.output_item.done') {
      const done = item.parse(value['item']);
      if (done.type === 'message') text += done.content.map((part) => part.text).join('');
      else if (done.type === 'reasoning') reasoning += (done.content ?? done.summary).map((part) => part.text).join('');
      else calls.push({ id: done.call_id, name: done.name, input: JSON.parse(done.arguments) as unknown });
    }
    if (event === 'response.completed' || event === 'response.incomplete') {
      if (said !== text || thought !== reasoning) throw new Error('deltas and items differ');
      const { usage: used } = ended.parse(value).response;
      return {
        text,
        reasoning,
        calls,
        isCutByLength: event === 'response.incomplete',
        tokens: used ? [used.input_tokens, used.output_tokens] : undefined,
      };
    }
  }
  throw new Error('the stream was closed before it said how the response ended');
};
