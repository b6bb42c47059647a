import { type DetokenizeResponse, detokenizeRequest, type TokenizeResponse, tokenizeRequest } from '@helexa/core';
import { readChatRequest } from './chat-completions.js';
import { type Exchange, readBody, sendJson } from './exchange.js';
import type { InferenceContext } from './generation-run.js';
import { refuseUnless } from './sampling-request.js';

/**
 * `POST /tokenize`: the tokens of a text, or of the prompt of a chat request. A prompt is rendered and encoded by the code that
 * an answer goes through, images included, so both are the same; nothing runs on a device.
 */
export async function tokenize(exchange: Exchange, context: InferenceContext): Promise<void> {
  const body = await readBody(exchange, tokenizeRequest, context.bodyLimitBytes);
  const model = context.modelOf(body.model);
  const tokens =
    'prompt' in body
      ? model.tokenizer.encode(body.prompt, { special: body.add_special_tokens ?? true })
      : (await readChatRequest(body, model, false, exchange.signal)).prompt;
  const answer: TokenizeResponse = {
    count: tokens.length,
    max_model_len: model.engine.limit.context,
    tokens: [...tokens],
  };
  sendJson(exchange, 200, answer);
}

/** `POST /detokenize`: the text that token ids stand for, special tokens included. */
export async function detokenize(exchange: Exchange, context: InferenceContext): Promise<void> {
  const { model: id, tokens } = await readBody(exchange, detokenizeRequest, context.bodyLimitBytes);
  const model = context.modelOf(id);
  const bad = tokens.find((token) => token >= model.facts.vocab);
  refuseUnless(bad === undefined, 'tokens', `${bad} is no token id of this model`);
  sendJson(exchange, 200, { prompt: model.tokenizer.decode(tokens) } satisfies DetokenizeResponse);
}
