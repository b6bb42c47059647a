/** Agents: clients that hold a conversation, each next request built by their own code from what they have gathered. */
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { type LanguageModel, type ModelMessage, streamText, type ToolSet } from 'ai';
import OpenAI from 'openai';
import type { ResponseInputItem } from 'openai/resources/responses/responses';
import { z } from 'zod';

/** What an agent says in one turn: words of its user, or what its tools answered to the calls of the turn before, in order. */
export type AgentTurn = { readonly user: string } | { readonly results: readonly string[] };

export interface AgentOptions {
  /** Address of the gateway, without a path. */
  readonly url: string;
  readonly model: string;
  readonly system: string;
  readonly tools: readonly string[];
}

/** Holds one conversation; settles when the answer to a turn is whole. */
export type Agent = (options: AgentOptions) => (turn: AgentTurn) => Promise<void>;

const apiKey = 'none';
const parameters = { type: 'object' as const, properties: {}, additionalProperties: true };

const openaiChat: Agent = ({ url, model, system, tools }) => {
  const client = new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 });
  const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'system', content: system }];
  let calls: readonly { readonly id: string }[] = [];
  return async (turn) => {
    if ('user' in turn) messages.push({ role: 'user', content: turn.user });
    else {
      const results = turn.results.map((content, at) => ({ content, tool_call_id: calls[at]?.id ?? '' }));
      messages.push(...results.map((result) => ({ role: 'tool' as const, ...result })));
    }
    const functions = tools.map((name) => ({ type: 'function' as const, function: { name, parameters } }));
    const stream = client.chat.completions.stream({ model, messages, tools: functions });
    // The package keeps the last fragment of a field that it does not know: an agent that sends thoughts back gathers them itself.
    let reasoning = '';
    stream.on('chunk', ({ choices: [choice] }) => {
      reasoning += (choice?.delta as { reasoning_content?: string } | undefined)?.reasoning_content ?? '';
    });
    const { choices } = await stream.finalChatCompletion();
    const { message } = choices[0] as (typeof choices)[number];
    calls = message.tool_calls ?? [];
    messages.push({ ...message, ...(reasoning === '' ? {} : { reasoning_content: reasoning }) });
  };
};

const openaiResponses: Agent = ({ url, model, system, tools }) => {
  const client = new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 });
  const input: ResponseInputItem[] = [];
  let calls: readonly string[] = [];
  return async (turn) => {
    if ('user' in turn) input.push({ role: 'user', content: turn.user });
    else {
      const results = turn.results.map((output, at) => ({ output, call_id: calls[at] ?? '' }));
      input.push(...results.map((result) => ({ type: 'function_call_output' as const, ...result })));
    }
    const functions = tools.map((name) => ({ type: 'function' as const, name, parameters, strict: false }));
    const options = { store: false, include: ['reasoning.encrypted_content' as const], reasoning: {} };
    const stream = client.responses.stream({ model, instructions: system, input, tools: functions, ...options });
    const { output } = await stream.finalResponse();
    calls = output.flatMap((item) => (item.type === 'function_call' ? [item.call_id] : []));
    input.push(...(output as ResponseInputItem[]));
  };
};

const anthropicMessages: Agent = ({ url, model, system, tools }) => {
  const client = new Anthropic({ apiKey, baseURL: url, maxRetries: 0 });
  const messages: Anthropic.MessageParam[] = [];
  let calls: readonly string[] = [];
  return async (turn) => {
    const content = 'user' in turn ? turn.user : turn.results.map((text, at) => toolResult(calls[at] ?? '', text));
    messages.push({ role: 'user', content });
    const functions = tools.map((name) => ({ name, input_schema: parameters }));
    const thinking = { type: 'enabled' as const, budget_tokens: 1024 };
    const options = { max_tokens: 4096, system: [{ type: 'text' as const, text: system }], thinking };
    const answer = await client.messages.stream({ model, messages, tools: functions, ...options }).finalMessage();
    calls = answer.content.flatMap((block) => (block.type === 'tool_use' ? [block.id] : []));
    messages.push({ role: 'assistant', content: answer.content });
  };
};

const toolResult = (id: string, content: string) => ({ type: 'tool_result' as const, tool_use_id: id, content });

const vercel =
  (
    modelOf: (options: AgentOptions) => LanguageModel,
    providerOptions: Parameters<typeof streamText>[0]['providerOptions'] = {},
  ): Agent =>
  (options) => {
    const messages: ModelMessage[] = [];
    let calls: readonly { readonly toolCallId: string; readonly toolName: string }[] = [];
    const inputSchema = z.record(z.string(), z.unknown());
    const tools: ToolSet = Object.fromEntries(options.tools.map((name) => [name, { description: name, inputSchema }]));
    return async (turn) => {
      if ('user' in turn) messages.push({ role: 'user', content: turn.user });
      else {
        const content = turn.results.map((value, at) => {
          const { toolCallId = '', toolName = '' } = calls[at] ?? {};
          return { type: 'tool-result' as const, toolCallId, toolName, output: { type: 'text' as const, value } };
        });
        messages.push({ role: 'tool', content });
      }
      let failure: unknown;
      const result = streamText({
        model: modelOf(options),
        system: options.system,
        messages,
        tools,
        maxRetries: 0,
        maxOutputTokens: 4096,
        providerOptions,
        onError: ({ error }) => {
          failure = error;
        },
      });
      await result.consumeStream();
      if (failure !== undefined) throw failure;
      calls = await result.toolCalls;
      messages.push(...(await result.response).messages);
    };
  };

const at = ({ url }: AgentOptions) => ({ apiKey, baseURL: `${url}/v1` });

export const agents: Readonly<Record<string, Agent>> = {
  'openai chat': openaiChat,
  'openai responses': openaiResponses,
  '@anthropic-ai/sdk': anthropicMessages,
  '@ai-sdk/openai-compatible': vercel((options) =>
    createOpenAICompatible({ ...at(options), name: 'cortex', includeUsage: true })(options.model),
  ),
  '@ai-sdk/openai responses': vercel((options) => createOpenAI(at(options)).responses(options.model), {
    openai: { store: false, include: ['reasoning.encrypted_content'], forceReasoning: true },
  }),
  '@ai-sdk/anthropic': vercel((options) => createAnthropic(at(options))(options.model), {
    anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } },
  }),
};
