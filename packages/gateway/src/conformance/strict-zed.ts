/**
 * Reads a chat stream by the rules of an editor whose parser is strict: line by line, one JSON value in each `data:` line,
 * `choices` always there, an index in every choice and call, usage of three numbers or none, roles out of a fixed set.
 */
import { z } from 'zod';
import type { Heard } from './heard.js';

const call = z.object({
  index: z.int().min(0).max(127),
  id: z.string().nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
});
const delta = z.object({
  role: z.enum(['user', 'assistant', 'system', 'tool']).nullish(),
  content: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  tool_calls: z.array(call).nullish(),
});
const chunk = z.object({
  choices: z.array(z.object({ index: z.int().min(0), delta, finish_reason: z.string().nullish() })),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int(), total_tokens: z.int() }).nullish(),
});
const failure = z.object({ error: z.object({ message: z.string() }) });
const line = z.union([failure, chunk]);

interface Call {
  id: string;
  name: string;
  text: string;
}

/** Throws what the editor would show. */
export const readAsZed = (writes: readonly Buffer[]): Heard => {
  let [text, reasoning, finish, isDone] = ['', '', '', false];
  let tokens: Heard['tokens'];
  const calls = new Map<number, Call>();
  for (const each of Buffer.concat(writes).toString().split('\n')) {
    const data = /^data: ?(.*?)\r?$/.exec(each)?.[1];
    if (data === undefined) continue;
    if (data === '[DONE]') {
      isDone = true;
      continue;
    }
    const read = line.parse(JSON.parse(data));
    if ('error' in read) throw new Error(read.error.message);
    if (read.usage) tokens = [read.usage.prompt_tokens, read.usage.completion_tokens];
    for (const { delta: said, finish_reason: reason } of read.choices) {
      text += said.content ?? '';
      reasoning += said.reasoning_content ?? '';
      finish = reason ?? finish;
      for (const { index, id, function: part } of said.tool_calls ?? []) {
        const known = calls.get(index) ?? { id: '', name: '', text: '' };
        calls.set(index, known);
        known.id = id ?? known.id;
        known.name = part?.name ?? known.name;
        known.text += part?.arguments ?? '';
      }
    }
  }
  if (!isDone) throw new Error('the stream has no end mark');
  return {
    text,
    reasoning,
    calls: [...calls.values()].map(({ id, name, text: input }) => ({ id, name, input: JSON.parse(input) as unknown })),
    isCutByLength: finish === 'length',
    tokens,
  };
};
