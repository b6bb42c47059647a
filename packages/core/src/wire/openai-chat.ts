/**
 * OpenAI chat completions, as clients really send them. Unknown fields are dropped by the parse; whether a value can be
 * honoured is decided where it is used, and refused there by name.
 */
import { z } from 'zod';

/** Absent and null mean the same in a request. */
const optional = <Schema extends z.ZodType>(schema: Schema) => schema.nullish();

export const chatTextPart = z.object({ type: z.literal('text'), text: z.string() });
export const chatImagePart = z.object({
  type: z.literal('image_url'),
  image_url: z.object({ url: z.string(), detail: optional(z.string()) }),
});
/** Part of a kind that this version does not know; the one who renders messages refuses it by its kind. */
export const chatOtherPart = z
  .object({ type: z.string().regex(/^(?!(?:text|image_url)$)/) })
  .transform(({ type }) => ({ type: 'unsupported' as const, kind: type }));
export const chatPart = z.union([chatTextPart, chatImagePart, chatOtherPart]);

export const chatToolCall = z.object({
  id: optional(z.string()),
  type: z.literal('function').default('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

export const chatMessage = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: optional(z.union([z.string(), z.array(chatPart)])),
  name: optional(z.string()),
  /** Thoughts of an earlier assistant turn, sent back. */
  reasoning_content: optional(z.string()),
  tool_calls: optional(z.array(chatToolCall)),
  tool_call_id: optional(z.string()),
});

export const chatTool = z.object({
  type: z.literal('function'),
  function: z.object({
    name: z.string(),
    description: optional(z.string()),
    parameters: optional(z.record(z.string(), z.unknown())),
    strict: optional(z.boolean()),
  }),
});

export const chatToolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
]);

export const responseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({
    type: z.literal('json_schema'),
    json_schema: z.object({
      name: optional(z.string()),
      schema: optional(z.record(z.string(), z.unknown())),
      strict: optional(z.boolean()),
    }),
  }),
]);

export const streamOptions = z.object({ include_usage: optional(z.boolean()) });

/** Sampling fields that chat and plain completions share; the last three are common extensions. */
export const samplingFields = {
  temperature: optional(z.number()),
  top_p: optional(z.number()),
  n: optional(z.int()),
  stop: optional(z.union([z.string(), z.array(z.string())])),
  seed: optional(z.int()),
  presence_penalty: optional(z.number()),
  frequency_penalty: optional(z.number()),
  logit_bias: optional(z.record(z.string(), z.number())),
  stream: optional(z.boolean()),
  stream_options: optional(streamOptions),
  user: optional(z.string()),
  top_k: optional(z.int()),
  min_p: optional(z.number()),
  repetition_penalty: optional(z.number()),
};

export const chatCompletionRequest = z.object({
  ...samplingFields,
  model: z.string().min(1),
  messages: z.array(chatMessage).min(1),
  max_tokens: optional(z.int()),
  /** The newer name of `max_tokens`; wins when both are given. */
  max_completion_tokens: optional(z.int()),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(z.int()),
  tools: optional(z.array(chatTool)),
  tool_choice: optional(chatToolChoice),
  parallel_tool_calls: optional(z.boolean()),
  response_format: optional(responseFormat),
  reasoning_effort: optional(z.string()),
  prompt_cache_key: optional(z.string()),
  /** Extra variables for the chat template, such as `enable_thinking`. */
  chat_template_kwargs: optional(z.record(z.string(), z.unknown())),
});

export const usage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({ cached_tokens: z.int() }).optional(),
  completion_tokens_details: z.object({ reasoning_tokens: z.int() }).optional(),
});

export const finishReason = z.enum(['stop', 'length', 'tool_calls', 'content_filter']);

const tokenLogprob = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()).nullable() });
export const chatLogprobs = z.object({
  content: z.array(tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob) })).nullable(),
});

export const chatResponseMessage = z.object({
  role: z.literal('assistant'),
  content: z.string().nullable(),
  reasoning_content: z.string().optional(),
  tool_calls: z
    .array(
      z.object({
        id: z.string(),
        type: z.literal('function'),
        function: z.object({ name: z.string(), arguments: z.string() }),
      }),
    )
    .optional(),
});

export const chatCompletionResponse = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      message: chatResponseMessage,
      logprobs: chatLogprobs.nullable(),
      finish_reason: finishReason,
      /** The stop string that ended the choice, when one did. */
      stop_reason: z.string().nullish(),
    }),
  ),
  usage,
});

/** First fragment of a tool call has id, type and name; later ones only `index` and more of the arguments. */
export const chatToolCallDelta = z.object({
  index: z.int(),
  id: z.string().optional(),
  type: z.literal('function').optional(),
  function: z.object({ name: z.string().optional(), arguments: z.string().optional() }).optional(),
});

export const chatDelta = z.object({
  role: z.literal('assistant').optional(),
  content: z.string().nullish(),
  reasoning_content: z.string().optional(),
  tool_calls: z.array(chatToolCallDelta).optional(),
});

export const chatCompletionChunk = z.object({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      delta: chatDelta,
      logprobs: chatLogprobs.nullish(),
      finish_reason: finishReason.nullable(),
      /** In the last event of a choice: the stop string that ended it, when one did. */
      stop_reason: z.string().nullish(),
    }),
  ),
  usage: usage.nullish(),
});

export type ChatPart = z.output<typeof chatPart>;
export type ChatMessage = z.output<typeof chatMessage>;
export type ChatToolCall = z.output<typeof chatToolCall>;
export type ChatTool = z.output<typeof chatTool>;
export type ChatCompletionRequest = z.output<typeof chatCompletionRequest>;
export type ChatCompletionResponse = z.output<typeof chatCompletionResponse>;
export type ChatResponseMessage = z.output<typeof chatResponseMessage>;
export type ChatCompletionChunk = z.output<typeof chatCompletionChunk>;
export type ChatDelta = z.output<typeof chatDelta>;
export type ChatLogprobs = z.output<typeof chatLogprobs>;
export type Usage = z.output<typeof usage>;
export type FinishReason = z.output<typeof finishReason>;
