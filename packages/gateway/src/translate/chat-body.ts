import type { chatCompletionRequest } from '@helexa/core';
import type { z } from 'zod';

/** A chat request as it goes to a neuron. */
export type ChatBody = z.input<typeof chatCompletionRequest>;
export type ChatBodyMessage = ChatBody['messages'][number];
export type ChatBodyTool = NonNullable<ChatBody['tools']>[number];
export type ChatBodyPart = Exclude<ChatBodyMessage['content'], string | null | undefined>[number];

/** A request of another dialect, said as a chat request. */
export interface ChatTranslation {
  readonly body: ChatBody;
  /** Kinds of things that mean nothing here and were left out, such as `tools.web_search`; the caller is told. */
  readonly ignored: readonly string[];
  /** The caller wants one tool call at most. */
  readonly atMostOneCall: boolean;
}

/** All system text in one leading message, in the caller's order and words; none when there is none. */
export const leadingSystem = (pieces: readonly string[]): ChatBodyMessage[] => {
  const content = pieces.filter((piece) => piece !== '').join('\n\n');
  return content === '' ? [] : [{ role: 'system', content }];
};

/** Text where there is only text, else the parts in their order. */
export const joinParts = (parts: readonly ChatBodyPart[], separator: string): string | ChatBodyPart[] => {
  const texts = parts.flatMap((part) => (part.type === 'text' && 'text' in part ? [part.text as string] : []));
  return texts.length === parts.length ? texts.join(separator) : [...parts];
};

/** The optional fields that have a value. */
export const given = <Fields extends object>(fields: Fields): { [Key in keyof Fields]?: NonNullable<Fields[Key]> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)) as never;
