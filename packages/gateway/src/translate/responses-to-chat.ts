import {
  CortexError,
  type ResponsesItem,
  type ResponsesPart,
  type ResponsesRequest,
  responsesPart,
} from '@helexa/core';
import { z } from 'zod';
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
import type { ResponsesEcho } from './responses-events.js';
import { isOwnThought } from './signature.js';

type Item<Type extends ResponsesItem['type']> = Extract<ResponsesItem, { type: Type }>;

/** Input that a model would have to see: leaving it out would be an answer to another question. */
const inputKinds: ReadonlySet<string> = new Set(['input_file', 'input_audio', 'input_video']);

const unsupported = (parameter: string, value: unknown, supported: string): CortexError =>
  new CortexError('unsupported_parameter', { parameter, value: JSON.stringify(value), supported });

/** An assistant turn in the making: clients send its thoughts, text and calls as separate items. */
interface Turn {
  thoughts: string[];
  text: string;
  calls: NonNullable<ChatBodyMessage['tool_calls']>;
}

class Conversation {
  readonly system: string[] = [];
  readonly messages: ChatBodyMessage[] = [];
  readonly ignored = new Set<string>();
  #turn: Turn | undefined;

  add(item: ResponsesItem, where: string): void {
    switch (item.type) {
      case 'message':
        this.#addMessage(item, where);
        break;
      case 'function_call': {
        const { call_id: id, name } = item;
        this.#openTurn().calls.push({ id, type: 'function', function: { name, arguments: item.arguments } });
        break;
      }
      case 'function_call_output':
        this.#push({ role: 'tool', tool_call_id: item.call_id, content: this.#outputOf(item.output, where) });
        break;
      case 'reasoning': {
        const text = (item.summary ?? []).map((part) => part.text ?? '').join('');
        if (isOwnThought(text, item.encrypted_content)) this.#addThought(text);
        else this.ignored.add('input.reasoning');
        break;
      }
      case 'other':
        this.ignored.add(`input.${item.kind}`);
    }
  }

  #addMessage({ role, content }: Item<'message'>, where: string): void {
    const parts = typeof content === 'string' ? [textPart(content)] : this.#partsOf(content ?? [], `${where}.content`);
    const joined = joinParts(parts, '\n\n');
    if (role === 'system' || role === 'developer') {
      if (typeof joined !== 'string') throw unsupported(`${where}.content`, 'an image in system text', 'text is');
      this.system.push(joined);
    } else if (role === 'user') this.#push({ role, content: joined });
    else if (typeof joined !== 'string') throw unsupported(`${where}.content`, 'an image of the assistant', 'text is');
    else this.#addText(joined);
  }

  /** Text after calls still belongs to their turn; after text alone it begins a new one. */
  #addText(text: string): void {
    if (this.#turn && this.#turn.calls.length === 0 && this.#turn.text !== '' && text !== '') this.endTurn();
    const turn = this.#openTurn();
    turn.text = [turn.text, text].filter((piece) => piece !== '').join('\n\n');
  }

  #addThought(text: string): void {
    if (this.#turn && (this.#turn.calls.length > 0 || this.#turn.text !== '')) this.endTurn();
    this.#openTurn().thoughts.push(text);
  }

  #openTurn(): Turn {
    this.#turn ??= { thoughts: [], text: '', calls: [] };
    return this.#turn;
  }

  endTurn(): void {
    if (!this.#turn) return;
    const { thoughts, text, calls } = this.#turn;
    this.#turn = undefined;
    this.messages.push({
      role: 'assistant',
      content: text === '' && calls.length > 0 ? null : text,
      ...(thoughts.length > 0 ? { reasoning_content: thoughts.join('\n') } : {}),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    });
  }

  #push(message: ChatBodyMessage): void {
    this.endTurn();
    this.messages.push(message);
  }

  #partsOf(parts: readonly ResponsesPart[], where: string): ChatBodyPart[] {
    return parts.flatMap((part, at): ChatBodyPart[] => {
      switch (part.type) {
        case 'refusal':
          return [textPart(part.refusal)];
        case 'input_image':
          if (!part.image_url) throw unsupported(`${where}[${at}]`, 'an image without image_url', "'image_url' is");
          return [{ type: 'image_url', image_url: { url: part.image_url } }];
        case 'other':
          if (inputKinds.has(part.kind)) throw unsupported(`${where}[${at}].type`, part.kind, "'input_text' is");
          this.ignored.add(`input.${part.kind}`);
          return [];
        default:
          return [textPart(part.text)];
      }
    });
  }

  /** Text as it is, parts as parts, anything else as JSON. */
  #outputOf(output: unknown, where: string): string | ChatBodyPart[] {
    if (typeof output === 'string') return output;
    const parts = z.array(responsesPart).safeParse(output);
    if (!parts.success || parts.data.some(({ type }) => type === 'other')) return JSON.stringify(output ?? null);
    return joinParts(this.#partsOf(parts.data, `${where}.output`), '');
  }
}

const textPart = (text: string): ChatBodyPart => ({ type: 'text', text });

const toolsOf = ({ tools }: ResponsesRequest, ignored: Set<string>): ChatBodyTool[] =>
  (tools ?? []).flatMap((tool): ChatBodyTool[] => {
    if (tool.type === 'other') {
      ignored.add(`tools.${tool.kind}`);
      return [];
    }
    const { name, description, parameters, strict } = 'function' in tool ? tool.function : tool;
    const known = given({ description, parameters });
    return [{ type: 'function', function: { name, ...known, ...(strict ? { strict } : {}) } }];
  });

const toolChoiceOf = (choice: ResponsesRequest['tool_choice']): Pick<ChatBody, 'tool_choice'> => {
  if (choice == null) return {};
  if (typeof choice === 'string') return { tool_choice: choice };
  if (choice.type === 'other') throw unsupported('tool_choice', choice.kind, "'auto' and 'none' are");
  return { tool_choice: { type: 'function', function: { name: choice.name } } };
};

const formatOf = ({ text }: ResponsesRequest): Pick<ChatBody, 'response_format'> => {
  const format = text?.format;
  if (!format || format.type === 'text') return {};
  if (format.type === 'json_object') return { response_format: { type: 'json_object' } };
  if (format.type !== 'json_schema') throw unsupported('text.format.type', format.type, "'text' is");
  return {
    response_format: {
      type: 'json_schema',
      json_schema: {
        name: format.name ?? 'answer',
        schema: format.schema ?? {},
        ...(format.strict ? { strict: true } : {}),
      },
    },
  };
};

/** Refuses what would need a memory between requests, or what nobody here can do. */
const refuseWhatIsNotServed = (request: ResponsesRequest): void => {
  const { previous_response_id: previous, conversation, prompt, background, top_logprobs: logprobs } = request;
  const whole = 'the whole conversation in the input is';
  if (previous != null) throw unsupported('previous_response_id', previous, whole);
  if (conversation != null) throw unsupported('conversation', conversation, whole);
  if (prompt != null) throw unsupported('prompt', prompt, "'instructions' and 'input' are");
  if (background) throw unsupported('background', background, 'false is');
  if (logprobs) throw unsupported('top_logprobs', logprobs, '0 is');
};

/** Says a Responses request as a chat request. The caller's words and their order are not touched. */
export const responsesToChat = (request: ResponsesRequest): ChatTranslation => {
  refuseWhatIsNotServed(request);
  const { input, instructions, reasoning } = request;
  const conversation = new Conversation();
  if (typeof input === 'string') conversation.messages.push({ role: 'user', content: input });
  else for (const [at, item] of (input ?? []).entries()) conversation.add(item, `input[${at}]`);
  conversation.endTurn();
  // Some clients ask with nothing at all to see whether a model is there.
  const messages: ChatBodyMessage[] =
    conversation.messages.length > 0 ? conversation.messages : [{ role: 'user', content: '' }];
  const tools = toolsOf(request, conversation.ignored);
  const atMostOneCall = request.parallel_tool_calls === false;
  const body: ChatBody = {
    model: request.model,
    messages: [...leadingSystem([instructions ?? '', ...conversation.system]), ...messages],
    ...given({
      max_tokens: request.max_output_tokens,
      temperature: request.temperature,
      top_p: request.top_p,
      top_k: request.top_k,
      seed: request.seed,
      presence_penalty: request.presence_penalty,
      frequency_penalty: request.frequency_penalty,
    }),
    ...(tools.length > 0 ? { tools, ...toolChoiceOf(request.tool_choice) } : {}),
    ...(tools.length > 0 && atMostOneCall ? { parallel_tool_calls: false } : {}),
    ...formatOf(request),
    // Whoever speaks of reasoning wants some; OpenAI's own default is the middle.
    ...(reasoning ? { reasoning_effort: reasoning.effort ?? 'medium' } : {}),
    ...(request.stream ? { stream: true, stream_options: { include_usage: true } } : {}),
  };
  return { body, ignored: [...conversation.ignored], atMostOneCall };
};

/** What the answer repeats of its request. */
export const echoOf = (request: ResponsesRequest): ResponsesEcho => ({
  model: request.model,
  instructions: request.instructions ?? null,
  max_output_tokens: request.max_output_tokens ?? null,
  metadata: request.metadata ?? {},
  parallel_tool_calls: request.parallel_tool_calls ?? true,
  temperature: request.temperature ?? null,
  tool_choice: typeof request.tool_choice === 'string' ? request.tool_choice : 'auto',
  tools: (request.tools ?? []).filter((tool) => tool.type === 'function'),
  top_p: request.top_p ?? null,
});
