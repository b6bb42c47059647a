/** OpenAI plain completions: a prompt in, its continuation out. */
import { z } from 'zod';
import { responseFormat, samplingFields, usage } from './openai-chat.js';

export const tokenIds = z.array(z.int().min(0));

export const completionRequest = z.object({
  ...samplingFields,
  model: z.string().min(1),
  /** Text, texts, token ids, or lists of token ids. */
  prompt: z.union([z.string(), z.array(z.string()), tokenIds, z.array(tokenIds)]),
  max_tokens: z.int().nullish(),
  /** How many of the likeliest tokens are reported; absent for none. */
  logprobs: z.int().nullish(),
  echo: z.boolean().nullish(),
  best_of: z.int().nullish(),
  suffix: z.string().nullish(),
  /** As in chat completions: an extension. */
  response_format: responseFormat.nullish(),
});

export const completionLogprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullable(),
  text_offset: z.array(z.int()),
});

const choice = z.object({
  index: z.int(),
  text: z.string(),
  logprobs: completionLogprobs.nullable(),
  finish_reason: z.enum(['stop', 'length']).nullable(),
});

/** The whole answer, and each event of a streamed one: both have the same object name. */
export const completionResponse = z.object({
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(choice),
  usage: usage.nullish(),
});
export const completionChunk = completionResponse;

export type CompletionRequest = z.output<typeof completionRequest>;
export type CompletionResponse = z.output<typeof completionResponse>;
export type CompletionChunk = CompletionResponse;
export type CompletionLogprobs = z.output<typeof completionLogprobs>;
