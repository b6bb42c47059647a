import { type ChatMessage, type ChatPart, CortexError } from '@helexa/core';
import { refuseUnsupported } from './sampling-request.js';

/** A message in the shape that chat templates read. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string | null;
  readonly name?: string;
  readonly reasoning_content?: string;
  readonly tool_call_id?: string;
  readonly tool_calls?: readonly { readonly id?: string; readonly type: 'function'; readonly function: TemplateCall }[];
}

interface TemplateCall {
  readonly name: string;
  /** An object where the text is one: templates iterate it. */
  readonly arguments: unknown;
}

/**
 * Wire messages as templates want them: text parts joined, call arguments parsed, and all system text in one leading
 * message, since templates refuse it elsewhere.
 */
export function toTemplateMessages(messages: readonly ChatMessage[], modelId: string): TemplateMessage[] {
  const system: string[] = [];
  const rest: TemplateMessage[] = [];
  for (const [index, message] of messages.entries()) {
    const content = textOf(message, index, modelId);
    if (message.role === 'system' || message.role === 'developer') {
      if (content) system.push(content);
      continue;
    }
    rest.push({
      role: message.role,
      content,
      ...(message.name ? { name: message.name } : {}),
      ...(message.reasoning_content ? { reasoning_content: message.reasoning_content } : {}),
      ...(message.tool_call_id ? { tool_call_id: message.tool_call_id } : {}),
      ...(message.tool_calls?.length ? { tool_calls: message.tool_calls.map(toTemplateCall) } : {}),
    });
  }
  return system.length > 0 ? [{ role: 'system', content: system.join('\n\n') }, ...rest] : rest;
}

function textOf({ content }: ChatMessage, index: number, modelId: string): string | null {
  if (content === null || content === undefined) return null;
  if (typeof content === 'string') return content;
  return content.map((part, at) => partText(part, `messages[${index}].content[${at}].type`, modelId)).join('');
}

function partText(part: ChatPart, param: string, modelId: string): string {
  if (part.type === 'text') return part.text;
  if (part.type === 'image_url') throw new CortexError('vision_unsupported', { model_id: modelId });
  refuseUnsupported(true, param, part.kind, `'text' is`);
  return '';
}

function toTemplateCall(call: NonNullable<ChatMessage['tool_calls']>[number]) {
  return {
    ...(call.id ? { id: call.id } : {}),
    type: 'function' as const,
    function: { name: call.function.name, arguments: parseArguments(call.function.arguments) },
  };
}

/** A model's own malformed arguments come back with the history: they stay the text that they are. */
function parseArguments(text: string): unknown {
  try {
    return JSON.parse(text === '' ? '{}' : text);
  } catch {
    return text;
  }
}
