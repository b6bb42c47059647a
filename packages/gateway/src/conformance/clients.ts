/** What clients in use make of bytes: their own code, driven to the end of one stream. */
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { type LanguageModel, streamText, type ToolSet } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';
import type { Heard } from './heard.js';
import { fetchOf } from './served-bytes.js';

/** Reads one stream as a client does; rejects when that client would. */
export type Client = (writes: readonly Buffer[]) => Promise<Heard>;

const place = { apiKey: 'none', baseURL: 'http://gateway.invalid/v1' };
const messages = [{ role: 'user' as const, content: 'x' }];

const openaiChat: Client = async (writes) => {
  const client = new OpenAI({ ...place, maxRetries: 0, fetch: fetchOf(writes) });
  let reasoning = '';
  const stream = client.chat.completions.stream({ model: 'm', messages, stream_options: { include_usage: true } });
  stream.on('chunk', ({ choices }) => {
    const delta = choices[0]?.delta as { reasoning_content?: string } | undefined;
    reasoning += delta?.reasoning_content ?? '';
  });
  const { choices, usage } = await stream.finalChatCompletion();
  const { message, finish_reason: finish } = choices[0] as (typeof choices)[number];
  return {
    text: message.content ?? '',
    reasoning,
    calls: (message.tool_calls ?? []).map((call) => {
      const { name, arguments: input } = call.function as { name: string; arguments: string };
      return { id: call.id, name, input: JSON.parse(input) as unknown };
    }),
    isCutByLength: finish === 'length',
    tokens: usage ? [usage.prompt_tokens, usage.completion_tokens] : undefined,
  };
};

const openaiResponses: Client = async (writes) => {
  const client = new OpenAI({ ...place, maxRetries: 0, fetch: fetchOf(writes) });
  const stream = client.responses.stream({ model: 'm', input: 'x' });
  let failure: string | undefined;
  stream.on('response.failed', ({ response: failed }) => {
    failure = failed.error?.code ?? 'unknown';
  });
  const response = await stream.finalResponse();
  if (failure !== undefined) throw new Error(failure);
  const { output, usage, status } = response;
  return {
    text: output
      .flatMap((item) => (item.type === 'message' ? item.content : []))
      .map((part) => ('text' in part ? part.text : ''))
      .join(''),
    reasoning: output
      .flatMap((item): readonly { readonly text: string }[] =>
        item.type === 'reasoning' ? (item.content ?? item.summary) : [],
      )
      .map(({ text }) => text)
      .join(''),
    calls: output.flatMap((item) =>
      item.type === 'function_call'
        ? [{ id: item.call_id, name: item.name, input: JSON.parse(item.arguments) as unknown }]
        : [],
    ),
    isCutByLength: status === 'incomplete',
    tokens: usage ? [usage.input_tokens, usage.output_tokens] : undefined,
  };
};

const anthropicMessages: Client = async (writes) => {
  const client = new Anthropic({
    apiKey: 'none',
    baseURL: 'http://gateway.invalid',
    maxRetries: 0,
    fetch: fetchOf(writes),
  });
  const {
    content,
    usage,
    stop_reason: stop,
  } = await client.messages.stream({ model: 'm', max_tokens: 9, messages }).finalMessage();
  return {
    text: content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    reasoning: content.map((block) => (block.type === 'thinking' ? block.thinking : '')).join(''),
    calls: content.flatMap((block) =>
      block.type === 'tool_use' ? [{ id: block.id, name: block.name, input: block.input }] : [],
    ),
    isCutByLength: stop === 'max_tokens',
    tokens: [usage.input_tokens + (usage.cache_read_input_tokens ?? 0), usage.output_tokens],
  };
};

const inputSchema = z.record(z.string(), z.unknown());
const tools: ToolSet = Object.fromEntries(
  ['weather', 'get_weather', 'read_file', 'x'].map((name) => [name, { description: name, inputSchema }]),
);

const vercel =
  (modelOf: (fetch: typeof globalThis.fetch) => LanguageModel): Client =>
  async (writes) => {
    let failure: unknown;
    const result = streamText({
      model: modelOf(fetchOf(writes)),
      messages,
      tools,
      maxRetries: 0,
      maxOutputTokens: 4096,
      onError: ({ error }) => {
        failure = error;
      },
    });
    let [text, reasoning] = ['', ''];
    const calls: Heard['calls'][number][] = [];
    let finish = '';
    let tokens: Heard['tokens'];
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') text += part.text;
      if (part.type === 'reasoning-delta') reasoning += part.text;
      if (part.type === 'tool-call') calls.push({ id: part.toolCallId, name: part.toolName, input: part.input });
      if (part.type === 'error') failure = part.error;
      if (part.type === 'finish') {
        finish = part.finishReason;
        const { inputTokens, outputTokens } = part.totalUsage;
        tokens = inputTokens === undefined || outputTokens === undefined ? undefined : [inputTokens, outputTokens];
      }
    }
    // What is in a stream it hands on as it came.
    if (failure !== undefined) throw failure instanceof Error ? failure : new Error(JSON.stringify(failure));
    return { text, reasoning, calls, isCutByLength: finish === 'length', tokens };
  };

export const chatClients: Readonly<Record<string, Client>> = {
  openai: openaiChat,
  '@ai-sdk/openai-compatible': vercel((fetch) =>
    createOpenAICompatible({ ...place, name: 'cortex', includeUsage: true, fetch })('m'),
  ),
  '@ai-sdk/openai chat': vercel((fetch) => createOpenAI({ ...place, fetch }).chat('m')),
};

export const responsesClients: Readonly<Record<string, Client>> = {
  openai: openaiResponses,
  '@ai-sdk/openai': vercel((fetch) => createOpenAI({ ...place, fetch }).responses('m')),
};

export const messagesClients: Readonly<Record<string, Client>> = {
  '@anthropic-ai/sdk': anthropicMessages,
  '@ai-sdk/anthropic': vercel((fetch) => createAnthropic({ ...place, fetch })('m')),
};
