/**
 * Anthropic messages, as clients really send them. Unknown fields are dropped by the parse, and so are blocks and tools of
 * unknown kinds, by name: one odd item never costs the whole request. What has a meaning and a wrong shape is refused.
 */
import { z } from 'zod';

const optional = <Schema extends z.ZodType>(schema: Schema) => schema.nullish();

const textBlock = z.object({ type: z.literal('text'), text: z.string() });
const imageBlock = z.object({
  type: z.literal('image'),
  source: z.union([
    z.object({ type: z.literal('base64'), media_type: z.string(), data: z.string() }),
    z.object({ type: z.literal('url'), url: z.string() }),
    z
      .object({ type: z.string().regex(/^(?!(?:base64|url)$)/) })
      .transform(({ type }) => ({ type: 'other' as const, kind: type })),
  ]),
});
const documentBlock = z.object({
  type: z.literal('document'),
  title: optional(z.string()),
  source: z.union([
    z.object({ type: z.literal('text'), data: z.string() }),
    z.object({ type: z.literal('content'), content: z.union([z.string(), z.array(textBlock)]) }),
    z
      .object({ type: z.string().regex(/^(?!(?:text|content)$)/) })
      .transform(({ type }) => ({ type: 'other' as const, kind: type })),
  ]),
});
/** Block of a kind that this version does not know, kept whole for those places where even that is of use. */
const otherThan = (known: readonly string[]) =>
  z
    .looseObject({ type: z.string().refine((type) => !known.includes(type)) })
    .transform((raw) => ({ type: 'other' as const, kind: raw.type, raw: raw as Readonly<Record<string, unknown>> }));

const resultBlock = z.union([textBlock, imageBlock, documentBlock, otherThan(['text', 'image', 'document'])]);

const toolUseBlock = z.object({
  type: z.literal('tool_use'),
  id: z.string().min(1),
  name: z.string().min(1),
  input: z.record(z.string(), z.unknown()),
});
const toolResultBlock = z.object({
  type: z.literal('tool_result'),
  tool_use_id: z.string().min(1),
  content: optional(z.union([z.string(), z.array(resultBlock)])),
  is_error: optional(z.boolean()),
});
const thinkingBlock = z.object({
  type: z.literal('thinking'),
  thinking: z.string(),
  signature: optional(z.string()),
});

export const anthropicBlock = z.union([
  textBlock,
  imageBlock,
  documentBlock,
  toolUseBlock,
  toolResultBlock,
  thinkingBlock,
  otherThan(['text', 'image', 'document', 'tool_use', 'tool_result', 'thinking']),
]);

export const anthropicRequestMessage = z.object({
  role: z.enum(['user', 'assistant', 'system']),
  content: z.union([z.string(), z.array(anthropicBlock)]),
});

const schemaObject = z.record(z.string(), z.unknown());

/** A function of the client, or a tool that the API's own servers would run: that one has a type and no schema. */
export const anthropicTool = z.union([
  z.object({
    type: optional(z.literal('custom')),
    name: z.string().min(1),
    description: optional(z.string()),
    input_schema: optional(schemaObject),
  }),
  z.object({
    type: z.literal('function'),
    function: z.object({
      name: z.string().min(1),
      description: optional(z.string()),
      parameters: optional(schemaObject),
    }),
  }),
  otherThan(['custom', 'function']),
]);

export const anthropicToolChoice = z.union([
  z.object({ type: z.enum(['auto', 'any', 'none']), disable_parallel_tool_use: optional(z.boolean()) }),
  z.object({ type: z.literal('tool'), name: z.string().min(1), disable_parallel_tool_use: optional(z.boolean()) }),
]);

const outputFormat = z.looseObject({ type: z.string(), schema: optional(schemaObject) });

/** Body of `POST /v1/messages/count_tokens`: a request without its output cap. */
export const anthropicCountRequest = z.object({
  model: z.string().min(1),
  messages: z.array(anthropicRequestMessage).min(1),
  system: optional(z.union([z.string(), z.array(textBlock)])),
  tools: optional(z.array(anthropicTool)),
  tool_choice: optional(anthropicToolChoice),
  thinking: optional(z.object({ type: z.string() })),
  output_format: optional(outputFormat),
  output_config: optional(z.object({ format: optional(outputFormat) })),
});

/** Body of `POST /v1/messages`. */
export const anthropicMessagesRequest = anthropicCountRequest.extend({
  max_tokens: z.int().min(1),
  stream: optional(z.boolean()),
  temperature: optional(z.number()),
  top_p: optional(z.number()),
  top_k: optional(z.int()),
  stop_sequences: optional(z.array(z.string())),
});

export const anthropicStopReason = z.enum(['end_turn', 'max_tokens', 'stop_sequence', 'tool_use', 'refusal']);

/** `input_tokens` is what was computed: clients add up all three input numbers. */
export const anthropicUsage = z.object({
  input_tokens: z.int(),
  cache_read_input_tokens: z.int(),
  cache_creation_input_tokens: z.int(),
  output_tokens: z.int(),
});

const answerBlock = z.discriminatedUnion('type', [
  textBlock,
  z.object({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() }),
  z.object({ type: z.literal('tool_use'), id: z.string(), name: z.string(), input: schemaObject }),
]);

export const anthropicMessage = z.object({
  id: z.string(),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string(),
  content: z.array(answerBlock),
  stop_reason: anthropicStopReason.nullable(),
  stop_sequence: z.string().nullable(),
  usage: anthropicUsage,
});

const blockDelta = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text_delta'), text: z.string() }),
  z.object({ type: z.literal('thinking_delta'), thinking: z.string() }),
  z.object({ type: z.literal('signature_delta'), signature: z.string() }),
  z.object({ type: z.literal('input_json_delta'), partial_json: z.string() }),
]);

/** One event of a streamed answer; its `type` is also the name of the event on the wire. */
export const anthropicStreamEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('message_start'), message: anthropicMessage }),
  z.object({ type: z.literal('content_block_start'), index: z.int(), content_block: answerBlock }),
  z.object({ type: z.literal('content_block_delta'), index: z.int(), delta: blockDelta }),
  z.object({ type: z.literal('content_block_stop'), index: z.int() }),
  z.object({
    type: z.literal('message_delta'),
    delta: z.object({ stop_reason: anthropicStopReason, stop_sequence: z.string().nullable() }),
    /** Totals so far, not increments; input numbers are absent when the neuron did not say. */
    usage: anthropicUsage.partial().required({ output_tokens: true }),
  }),
  z.object({ type: z.literal('message_stop') }),
  z.object({ type: z.literal('ping') }),
  z.object({
    type: z.literal('error'),
    error: z.object({ type: z.string(), message: z.string() }),
    request_id: z.string().optional(),
  }),
]);

export type AnthropicBlock = z.output<typeof anthropicBlock>;
export type AnthropicRequestMessage = z.output<typeof anthropicRequestMessage>;
export type AnthropicTool = z.output<typeof anthropicTool>;
export type AnthropicToolChoice = z.output<typeof anthropicToolChoice>;
export type AnthropicCountRequest = z.output<typeof anthropicCountRequest>;
export type AnthropicMessagesRequest = z.output<typeof anthropicMessagesRequest>;
export type AnthropicMessage = z.output<typeof anthropicMessage>;
export type AnthropicAnswerBlock = z.output<typeof answerBlock>;
export type AnthropicBlockDelta = z.output<typeof blockDelta>;
export type AnthropicStopReason = z.output<typeof anthropicStopReason>;
export type AnthropicUsage = z.output<typeof anthropicUsage>;
export type AnthropicStreamEvent = z.output<typeof anthropicStreamEvent>;
