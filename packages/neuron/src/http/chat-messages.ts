import { type ChatMessage, CortexError } from '@helexa/core';
import { refuseUnless, refuseUnsupported } from './sampling-request.js';

/** A message in the shape that chat templates read. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string | readonly TemplatePart[] | null;
  readonly name?: string;
  readonly reasoning_content?: string;
  readonly tool_call_id?: string;
  readonly tool_calls?: readonly { readonly id?: string; readonly type: 'function'; readonly function: TemplateCall }[];
}

/** Parts of a message with images: the template writes a placeholder for each. */
export type TemplatePart = { readonly type: 'text'; readonly text: string } | { readonly type: 'image' };

/** What a conversation becomes for a template, with the addresses of its images in order. */
export interface TemplateConversation {
  readonly messages: readonly TemplateMessage[];
  readonly images: readonly string[];
}

interface TemplateCall {
  readonly name: string;
  /** An object where the text is one: templates iterate it. */
  readonly arguments: unknown;
}

/**
 * Wire messages as templates want them: text parts joined, images as parts of their own, call arguments parsed, and all
 * system text in one leading message, since templates refuse it elsewhere.
 */
export function toTemplateMessages(
  messages: readonly ChatMessage[],
  model: { readonly id: string; readonly takesImages: boolean },
): TemplateConversation {
  const system: string[] = [];
  const rest: TemplateMessage[] = [];
  const images: string[] = [];
  for (const [index, message] of messages.entries()) {
    const parts = partsOf(message, `messages[${index}].content`, model, images);
    const isText = parts === null || parts.every((part) => part.type === 'text');
    if (message.role === 'system' || message.role === 'developer') {
      refuseUnless(isText, `messages[${index}].content`, 'a system message holds an image; text is wanted');
      const text = joined(parts);
      if (text) system.push(text);
      continue;
    }
    rest.push({
      role: message.role,
      content: isText ? joined(parts) : parts,
      ...(message.name ? { name: message.name } : {}),
      ...(message.reasoning_content ? { reasoning_content: message.reasoning_content } : {}),
      ...(message.tool_call_id ? { tool_call_id: message.tool_call_id } : {}),
      ...(message.tool_calls?.length ? { tool_calls: message.tool_calls.map(toTemplateCall) } : {}),
    });
  }
  const head: TemplateMessage[] = system.length > 0 ? [{ role: 'system', content: system.join('\n\n') }] : [];
  return { messages: [...head, ...rest], images };
}

/** Parts of a message; the addresses of its images are added to `images`. */
function partsOf(
  { content }: ChatMessage,
  param: string,
  model: { readonly id: string; readonly takesImages: boolean },
  images: string[],
): readonly TemplatePart[] | null {
  if (content === null || content === undefined) return null;
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return content.map((part, at): TemplatePart => {
    if (part.type === 'text') return { type: 'text', text: part.text };
    if (part.type === 'image_url') {
      if (!model.takesImages) throw new CortexError('vision_unsupported', { model_id: model.id });
      images.push(part.image_url.url);
      return { type: 'image' };
    }
    refuseUnsupported(
      true,
      `${param}[${at}].type`,
      part.kind,
      model.takesImages ? `'text' and 'image_url' are` : `'text' is`,
    );
    return { type: 'text', text: '' };
  });
}

const joined = (parts: readonly TemplatePart[] | null): string | null =>
  parts === null ? null : parts.map((part) => (part.type === 'text' ? part.text : '')).join('');

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
