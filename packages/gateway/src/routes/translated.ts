import {
  anthropicCountRequest,
  anthropicMessagesRequest,
  bodyError,
  CortexError,
  responsesRequest,
  tokenCount,
} from '@helexa/core';
import type { z } from 'zod';
import { readBody } from '../http/read-body.js';
import type { Exchange, Handler } from '../http/router.js';
import type { AnswerSink } from '../proxy/answer-sink.js';
import { headersToNeuron } from '../proxy/forwarded-headers.js';
import { checkMediaType, outputTokensOf, parseJsonBody } from '../proxy/read-model.js';
import { anthropicToChat, showsThinking } from '../translate/anthropic-to-chat.js';
import { withoutBillingHeader } from '../translate/billing-header.js';
import type { ChatTranslation } from '../translate/chat-body.js';
import type { Dialect } from '../translate/dialect.js';
import { faultOf, readFault } from '../translate/fault.js';
import { echoOf, responsesToChat } from '../translate/responses-to-chat.js';
import { type AnswerTranslator, anthropicTranslator, responsesTranslator } from '../translate/stream-translator.js';
import { type InferenceOptions, relayInference } from './inference.js';
import { TranslatingSink } from './translating-sink.js';

export interface TranslatedOptions extends InferenceOptions {
  /** Leave out the transport line that a coding agent puts before its system prompt. */
  readonly stripBillingHeader: boolean;
}

interface Translated {
  readonly translation: ChatTranslation;
  readonly dialect: Dialect;
  /** Path at the neuron. */
  readonly path: string;
  readonly translator: AnswerTranslator;
}

const readRequest = async <Schema extends z.ZodType>(
  exchange: Exchange,
  schema: Schema,
  limitBytes: number,
): Promise<z.output<Schema>> => {
  checkMediaType(exchange.request.headers['content-type']);
  const parsed = schema.safeParse(parseJsonBody(await readBody(exchange, limitBytes)));
  if (!parsed.success) throw bodyError(parsed.error.issues);
  return parsed.data;
};

/** A header may hold few characters, and kinds are the client's own words. */
const longestIgnoredHeader = 500;

const tellIgnored = ({ response, facts }: Exchange, ignored: readonly string[]): void => {
  if (ignored.length === 0) return;
  const text = ignored.join(', ').replace(/[^\x20-\x7e]/g, '?');
  response.always['x-cortex-ignored'] = text.slice(0, longestIgnoredHeader);
  facts['ignored'] = ignored;
};

/** Sends the chat request that a request became, and its answer back in the caller's dialect. */
const relayTranslated = async (
  options: InferenceOptions,
  exchange: Exchange,
  startedAt: number,
  { translation, dialect, path, translator }: Translated,
): Promise<void> => {
  const { body, ignored } = translation;
  const { request, response, id, facts } = exchange;
  tellIgnored(exchange, ignored);
  // The header would move thoughts into the text, where this dialect has a place of its own for them.
  const headers = headersToNeuron(request.headers, id);
  delete headers['x-include-thinking'];
  headers['content-type'] = 'application/json';
  let current: TranslatingSink | undefined;
  const openSink = (node: string): AnswerSink => {
    current?.close();
    translator.begin(node);
    current = new TranslatingSink({ response, translator, dialect, requestId: id, node, clock: options.clock });
    return current;
  };
  response.sayError = (error) => {
    const fault = readFault(error);
    return fault ? translator.fail(fault) : '';
  };
  try {
    await relayInference(options, exchange, {
      model: body.model,
      stream: body.stream === true,
      outputTokens: outputTokensOf(body),
      path,
      headers,
      body: Buffer.from(JSON.stringify(body)),
      openSink,
      silence: dialect === 'anthropic' ? () => translator.silence() : undefined,
      startedAt,
    });
  } finally {
    current?.close();
    if (translator.fault) facts['fault'] = translator.fault.code;
  }
};

const stripped = <Request extends Parameters<typeof withoutBillingHeader>[0]>(
  request: Request,
  { response }: Exchange,
  isWanted: boolean,
): Request => {
  if (!isWanted) return request;
  const { request: rest, isStripped } = withoutBillingHeader(request);
  if (isStripped) response.always['x-cortex-stripped'] = 'x-anthropic-billing-header';
  return rest;
};

/** `POST /v1/messages`. */
export const messagesHandler =
  (options: TranslatedOptions): Handler =>
  async (exchange: Exchange): Promise<void> => {
    const startedAt = options.clock.now();
    const asked = await readRequest(exchange, anthropicMessagesRequest, options.bodyLimitBytes);
    const request = stripped(asked, exchange, options.stripBillingHeader);
    const translation = anthropicToChat(request);
    const { atMostOneCall } = translation;
    const shared = { requestId: exchange.id, model: request.model, showsThinking: showsThinking(request) };
    await relayTranslated(options, exchange, startedAt, {
      translation,
      dialect: 'anthropic',
      path: '/v1/chat/completions',
      translator: anthropicTranslator({ atMostOneCall, ...shared }),
    });
  };

/** An answer that is a number: there is nothing in it to stream. */
const countTranslator = (bodyOf: (count: number) => unknown): AnswerTranslator => {
  let node = '';
  return {
    begin: (name) => {
      node = name;
    },
    event: () => '',
    end: () => '',
    silence: () => '',
    fail: () => '',
    isOver: true,
    fault: undefined,
    whole: (body) => {
      const parsed = tokenCount.safeParse(body);
      return parsed.success
        ? { body: bodyOf(parsed.data.count) }
        : { fault: faultOf(new CortexError('upstream_failed', { node, reason: 'its answer is no token count' })) };
    },
  };
};

/** `POST /v1/messages/count_tokens`: exact, from the neuron that would answer; nothing runs on its device. */
export const countTokensHandler =
  (options: TranslatedOptions): Handler =>
  async (exchange: Exchange): Promise<void> => {
    const startedAt = options.clock.now();
    const asked = await readRequest(exchange, anthropicCountRequest, options.bodyLimitBytes);
    await relayTranslated(options, exchange, startedAt, {
      translation: anthropicToChat(stripped(asked, exchange, options.stripBillingHeader)),
      dialect: 'anthropic',
      path: '/tokenize',
      translator: countTranslator((count) => ({ input_tokens: count })),
    });
  };

/** `POST /v1/responses`. */
export const responsesHandler =
  (options: InferenceOptions): Handler =>
  async (exchange: Exchange): Promise<void> => {
    const startedAt = options.clock.now();
    const request = await readRequest(exchange, responsesRequest, options.bodyLimitBytes);
    const translation = responsesToChat(request);
    const { atMostOneCall } = translation;
    const createdSeconds = Math.floor(options.clock.unixMs() / 1000);
    const shared = { requestId: exchange.id, createdSeconds, echo: echoOf(request) };
    await relayTranslated(options, exchange, startedAt, {
      translation,
      dialect: 'openai',
      path: '/v1/chat/completions',
      translator: responsesTranslator({ atMostOneCall, ...shared }),
    });
  };

/** `POST /v1/responses/input_tokens`: the same count, for the callers of Responses. */
export const inputTokensHandler =
  (options: InferenceOptions): Handler =>
  async (exchange: Exchange): Promise<void> => {
    const startedAt = options.clock.now();
    const request = await readRequest(exchange, responsesRequest, options.bodyLimitBytes);
    const bodyOf = (count: number) => ({ object: 'response.input_tokens', input_tokens: count });
    await relayTranslated(options, exchange, startedAt, {
      translation: responsesToChat({ ...request, stream: false }),
      dialect: 'openai',
      path: '/tokenize',
      translator: countTranslator(bodyOf),
    });
  };
