import { chatCompletionRequest, type TokenCount } from '@helexa/core';
import { readChatRequest } from './chat-completions.js';
import { type Exchange, readBody, sendJson } from './exchange.js';
import type { InferenceContext } from './generation-run.js';

/**
 * `POST /tokenize`: how many tokens the prompt of a chat request has. It is rendered and encoded by the code that an answer
 * goes through, so both numbers are the same; nothing runs on a device.
 */
export async function countTokens(exchange: Exchange, context: InferenceContext): Promise<void> {
  const body = await readBody(exchange, chatCompletionRequest, context.bodyLimitBytes);
  const { prompt } = await readChatRequest(body, context.modelOf(body.model), false, exchange.signal);
  sendJson(exchange, 200, { count: prompt.length } satisfies TokenCount);
}
