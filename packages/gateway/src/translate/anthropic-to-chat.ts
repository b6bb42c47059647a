import {
  type AnthropicBlock,
  type AnthropicCountRequest,
  type AnthropicMessagesRequest,
  type AnthropicRequestMessage,
  type AnthropicTool,
  type AnthropicToolChoice,
  CortexError,
} from '@helexa/core';
import {
  type ChatBody,
  type ChatBodyMessage,
  type ChatBodyPart,
  type ChatBodyTool,
  type ChatTranslation,
  given,
  joinParts,
  leadingSystem,
} from './chat-body.js';
import { isOwnThought } from './signature.js';

type Block<Type extends AnthropicBlock['type']> = Extract<AnthropicBlock, { type: Type }>;
type ResultBlock = Exclude<Block<'tool_result'>['content'], string | null | undefined>[number];

/** Collects what is left out, once per kind. */
class Ignored {
  readonly kinds = new Set<string>();
  add(where: string, kind: string): void {
    this.kinds.add(`${where}.${kind}`);
  }
}

const unsupported = (parameter: string, value: string, supported: string): CortexError =>
  new CortexError('unsupported_parameter', { parameter, value: `'${value}'`, supported });

const imagePart = ({ source }: Block<'image'>, where: string): ChatBodyPart => {
  if (source.type === 'other') throw unsupported(`${where}.source.type`, source.kind, `'base64' and 'url' are`);
  const url = source.type === 'url' ? source.url : `data:${source.media_type};base64,${source.data}`;
  return { type: 'image_url', image_url: { url } };
};

const documentPart = ({ source }: Block<'document'>, where: string): ChatBodyPart => {
  if (source.type === 'other') throw unsupported(`${where}.source.type`, source.kind, `'text' and 'content' are`);
  if (source.type === 'text') return { type: 'text', text: source.data };
  const { content } = source;
  return { type: 'text', text: typeof content === 'string' ? content : content.map(({ text }) => text).join('') };
};

/** What a tool said; a block of an unknown kind still says something as JSON. */
const resultPart = (block: ResultBlock, where: string): ChatBodyPart => {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text };
    case 'image':
      return imagePart(block, where);
    case 'document':
      return documentPart(block, where);
    case 'other':
      return { type: 'text', text: JSON.stringify(block.raw) };
  }
};

const toolMessage = (block: Block<'tool_result'>, where: string): ChatBodyMessage => {
  const { content, is_error: isError, tool_use_id: id } = block;
  const parts: ChatBodyPart[] =
    typeof content === 'string'
      ? [{ type: 'text', text: content }]
      : (content ?? []).map((each, at) => resultPart(each, `${where}.content[${at}]`));
  // The chat dialect has no place for this fact but the text.
  const marked: ChatBodyPart[] = isError ? [{ type: 'text', text: 'Error: ' }, ...parts] : parts;
  return { role: 'tool', tool_call_id: id, content: joinParts(marked, '') };
};

const userMessages = (
  blocks: readonly AnthropicBlock[],
  role: 'user' | 'system',
  where: string,
  ignored: Ignored,
): ChatBodyMessage[] => {
  const results: ChatBodyMessage[] = [];
  const parts: ChatBodyPart[] = [];
  for (const [at, block] of blocks.entries()) {
    const here = `${where}.content[${at}]`;
    if (block.type === 'tool_result') results.push(toolMessage(block, here));
    else if (block.type === 'text') parts.push({ type: 'text', text: block.text });
    else if (block.type === 'image') parts.push(imagePart(block, here));
    else if (block.type === 'document') parts.push(documentPart(block, here));
    else ignored.add('messages', block.type === 'other' ? block.kind : block.type);
  }
  if (parts.length === 0 && results.length > 0) return results;
  return [...results, { role, content: joinParts(parts, '') }];
};

const assistantMessage = (blocks: readonly AnthropicBlock[], where: string, ignored: Ignored): ChatBodyMessage => {
  const texts: string[] = [];
  const thoughts: string[] = [];
  const calls: NonNullable<ChatBodyMessage['tool_calls']> = [];
  for (const [at, block] of blocks.entries()) {
    if (block.type === 'text') texts.push(block.text);
    else if (block.type === 'thinking') {
      if (isOwnThought(block.thinking, block.signature)) thoughts.push(block.thinking);
      else ignored.add('messages', 'thinking');
    } else if (block.type === 'tool_use') {
      const { id, name, input } = block;
      calls.push({ id, type: 'function', function: { name, arguments: JSON.stringify(input) } });
    } else if (block.type === 'other') ignored.add('messages', block.kind);
    else throw unsupported(`${where}.content[${at}].type`, block.type, `'text', 'thinking' and 'tool_use' are`);
  }
  const content = texts.join('');
  return {
    role: 'assistant',
    content: content === '' && calls.length > 0 ? null : content,
    ...(thoughts.length > 0 ? { reasoning_content: thoughts.join('\n') } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
};

const messagesOf = (message: AnthropicRequestMessage, index: number, ignored: Ignored): ChatBodyMessage[] => {
  const { role, content } = message;
  if (typeof content === 'string') return [{ role, content }];
  const where = `messages[${index}]`;
  return role === 'assistant'
    ? [assistantMessage(content, where, ignored)]
    : userMessages(content, role, where, ignored);
};

const toolOf = (tool: AnthropicTool, ignored: Ignored): ChatBodyTool[] => {
  if (tool.type === 'other') {
    ignored.add('tools', tool.kind);
    return [];
  }
  const { name, description, parameters } =
    tool.type === 'function'
      ? tool.function
      : { name: tool.name, description: tool.description, parameters: tool.input_schema };
  return [
    {
      type: 'function',
      function: { name, ...(description == null ? {} : { description }), parameters: parameters ?? { type: 'object' } },
    },
  ];
};

const toolChoiceOf = (choice: AnthropicToolChoice): NonNullable<ChatBody['tool_choice']> => {
  if (choice.type === 'tool') return { type: 'function', function: { name: choice.name } };
  return choice.type === 'any' ? 'required' : choice.type;
};

/** Says an Anthropic request as a chat request. The caller's words and their order are not touched. */
export const anthropicToChat = (
  request: AnthropicCountRequest & Partial<AnthropicMessagesRequest>,
): ChatTranslation => {
  const ignored = new Ignored();
  const { system } = request;
  const systemText = typeof system === 'string' ? system : (system ?? []).map(({ text }) => text).join('\n');
  const messages = request.messages.flatMap((message, index) => messagesOf(message, index, ignored));
  const lateSystem = messages.filter(({ role }) => role === 'system').map(({ content }) => content);
  if (lateSystem.some((content) => typeof content !== 'string')) {
    throw unsupported('messages', 'a system turn with images', 'text is');
  }
  const isAnswer = request.max_tokens !== undefined;
  if (isAnswer && messages.at(-1)?.role === 'assistant') {
    throw unsupported('messages', 'an assistant turn at the end', 'a user turn at the end is');
  }
  const tools = (request.tools ?? []).flatMap((tool) => toolOf(tool, ignored));
  const { tool_choice: choice, thinking, stop_sequences: stops } = request;
  const format = request.output_config?.format ?? request.output_format;
  const atMostOneCall = choice?.disable_parallel_tool_use === true;
  const body: ChatBody = {
    model: request.model,
    messages: [
      ...leadingSystem([systemText, ...(lateSystem as string[])]),
      ...messages.filter(({ role }) => role !== 'system'),
    ],
    ...given({
      max_tokens: request.max_tokens,
      temperature: request.temperature,
      top_p: request.top_p,
      top_k: request.top_k,
    }),
    ...(stops?.length ? { stop: stops } : {}),
    ...(tools.length > 0 ? { tools, ...(choice ? { tool_choice: toolChoiceOf(choice) } : {}) } : {}),
    ...(tools.length > 0 && atMostOneCall ? { parallel_tool_calls: false } : {}),
    ...(thinking ? { chat_template_kwargs: { enable_thinking: showsThinking(request) } } : {}),
    ...(format
      ? { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: format.schema ?? {} } } }
      : {}),
    ...(request.stream ? { stream: true, stream_options: { include_usage: true } } : {}),
  };
  return { body, ignored: [...ignored.kinds], atMostOneCall };
};

/** Whether the caller asked for thinking. */
export const showsThinking = ({ thinking }: Pick<AnthropicCountRequest, 'thinking'>): boolean =>
  thinking != null && thinking.type !== 'disabled';
