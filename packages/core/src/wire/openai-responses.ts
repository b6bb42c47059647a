/**
 * OpenAI Responses, as clients really send them. An item, part or tool of an unknown kind never costs the whole request: the
 * parse keeps its kind only.
 */
import { z } from 'zod';

const optional = <Schema extends z.ZodType>(schema: Schema) => schema.nullish();

const otherThan = (known: readonly string[]) =>
  z
    .looseObject({ type: z.string().refine((type) => !known.includes(type)) })
    .transform(({ type }) => ({ type: 'other' as const, kind: type }));

const textPartTypes = ['input_text', 'output_text', 'text'] as const;
export const responsesPart = z.union([
  z.object({ type: z.enum(textPartTypes), text: z.string() }),
  z.object({ type: z.literal('refusal'), refusal: z.string() }),
  z.object({
    type: z.literal('input_image'),
    image_url: optional(z.string()),
    file_id: optional(z.string()),
    detail: optional(z.string()),
  }),
  otherThan([...textPartTypes, 'refusal', 'input_image']),
]);

const itemKinds = ['message', 'function_call', 'function_call_output', 'reasoning'];

/** Some clients leave the type of a message out. */
const messageItem = z.object({
  type: optional(z.literal('message')),
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: optional(z.union([z.string(), z.array(responsesPart)])),
});

export const responsesItem = z.union([
  messageItem.transform((item) => ({ ...item, type: 'message' as const })),
  z.object({
    type: z.literal('function_call'),
    call_id: z.string().min(1),
    name: z.string().min(1),
    arguments: z.string(),
  }),
  z.object({
    type: z.literal('function_call_output'),
    call_id: z.string().min(1),
    output: z.unknown().optional(),
  }),
  z.object({
    type: z.literal('reasoning'),
    summary: optional(z.array(z.looseObject({ text: optional(z.string()) }))),
    encrypted_content: optional(z.string()),
  }),
  otherThan(itemKinds),
]);

const schemaObject = z.record(z.string(), z.unknown());

export const responsesTool = z.union([
  z.object({
    type: z.literal('function'),
    name: z.string().min(1),
    description: optional(z.string()),
    parameters: optional(schemaObject),
    strict: optional(z.boolean()),
  }),
  z.object({
    type: z.literal('function'),
    function: z.object({
      name: z.string().min(1),
      description: optional(z.string()),
      parameters: optional(schemaObject),
      strict: optional(z.boolean()),
    }),
  }),
  otherThan(['function']),
]);

export const responsesToolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.object({ type: z.literal('function'), name: z.string().min(1) }),
  otherThan(['function']),
]);

/** Body of `POST /v1/responses`. */
export const responsesRequest = z.object({
  model: z.string().min(1),
  input: optional(z.union([z.string(), z.array(responsesItem)])),
  instructions: optional(z.string()),
  stream: optional(z.boolean()),
  max_output_tokens: optional(z.int().min(1)),
  temperature: optional(z.number()),
  top_p: optional(z.number()),
  top_k: optional(z.int()),
  seed: optional(z.int()),
  presence_penalty: optional(z.number()),
  frequency_penalty: optional(z.number()),
  tools: optional(z.array(responsesTool)),
  tool_choice: optional(responsesToolChoice),
  parallel_tool_calls: optional(z.boolean()),
  reasoning: optional(z.object({ effort: optional(z.string()) })),
  text: optional(
    z.object({
      format: optional(z.looseObject({ type: z.string(), name: optional(z.string()), schema: optional(schemaObject) })),
    }),
  ),
  metadata: optional(z.record(z.string(), z.unknown())),
  /** What needs a store, or somebody else's; refused by name where it is given. */
  previous_response_id: optional(z.string()),
  conversation: z.unknown().optional(),
  prompt: z.unknown().optional(),
  background: optional(z.boolean()),
  top_logprobs: optional(z.int()),
});

export const responsesUsage = z.object({
  input_tokens: z.int(),
  input_tokens_details: z.object({ cached_tokens: z.int() }),
  output_tokens: z.int(),
  output_tokens_details: z.object({ reasoning_tokens: z.int() }),
  total_tokens: z.int(),
});

const status = z.enum(['in_progress', 'completed', 'incomplete']);
const summaryPart = z.object({ type: z.literal('summary_text'), text: z.string() });
const textPart = z.object({ type: z.literal('output_text'), text: z.string(), annotations: z.array(z.never()) });

export const responsesOutputItem = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('reasoning'),
    id: z.string(),
    summary: z.array(summaryPart),
    /** Lets the gateway know its own thoughts again when a client sends them back. */
    encrypted_content: z.string().optional(),
    status,
  }),
  z.object({
    type: z.literal('message'),
    id: z.string(),
    role: z.literal('assistant'),
    status,
    content: z.array(textPart),
  }),
  z.object({
    type: z.literal('function_call'),
    id: z.string(),
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
    status,
  }),
]);

export const responsesResponse = z.object({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.int(),
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.enum(['max_output_tokens', 'content_filter']) }).nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  metadata: z.record(z.string(), z.unknown()),
  model: z.string(),
  output: z.array(responsesOutputItem),
  parallel_tool_calls: z.boolean(),
  previous_response_id: z.null(),
  store: z.literal(false),
  temperature: z.number().nullable(),
  tool_choice: z.unknown(),
  tools: z.array(z.unknown()),
  top_p: z.number().nullable(),
  usage: responsesUsage.nullable(),
});

const inItem = { item_id: z.string(), output_index: z.int() };
const inPart = { ...inItem, content_index: z.int() };
const inSummary = { ...inItem, summary_index: z.int() };
const event = <Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) =>
  z.object({ type: z.literal(type), sequence_number: z.int(), ...shape });

/** One event of a streamed answer; its `type` is also the name of the event on the wire. */
export const responsesStreamEvent = z.discriminatedUnion('type', [
  event('response.created', { response: responsesResponse }),
  event('response.in_progress', { response: responsesResponse }),
  event('response.output_item.added', { output_index: z.int(), item: responsesOutputItem }),
  event('response.reasoning_summary_part.added', { ...inSummary, part: summaryPart }),
  event('response.reasoning_summary_text.delta', { ...inSummary, delta: z.string() }),
  event('response.reasoning_summary_text.done', { ...inSummary, text: z.string() }),
  event('response.reasoning_summary_part.done', { ...inSummary, part: summaryPart }),
  event('response.content_part.added', { ...inPart, part: textPart }),
  event('response.output_text.delta', { ...inPart, delta: z.string(), logprobs: z.array(z.never()) }),
  event('response.output_text.done', { ...inPart, text: z.string(), logprobs: z.array(z.never()) }),
  event('response.content_part.done', { ...inPart, part: textPart }),
  event('response.function_call_arguments.delta', { ...inItem, delta: z.string() }),
  event('response.function_call_arguments.done', {
    ...inItem,
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
  event('response.output_item.done', { output_index: z.int(), item: responsesOutputItem }),
  event('response.completed', { response: responsesResponse }),
  event('response.incomplete', { response: responsesResponse }),
  event('response.failed', { response: responsesResponse }),
]);

export type ResponsesPart = z.output<typeof responsesPart>;
export type ResponsesItem = z.output<typeof responsesItem>;
export type ResponsesRequest = z.output<typeof responsesRequest>;
export type ResponsesUsage = z.output<typeof responsesUsage>;
export type ResponsesOutputItem = z.output<typeof responsesOutputItem>;
export type ResponsesResponse = z.output<typeof responsesResponse>;
export type ResponsesStreamEvent = z.output<typeof responsesStreamEvent>;
