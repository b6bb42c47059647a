import type { AnthropicMessage, AnthropicStopReason, AnthropicStreamEvent, AnthropicUsage, Usage } from '@helexa/core';
import type { AnswerEvent, AnswerFinish, Step } from './answer-event.js';
import { anthropicFault } from './fault.js';
import { signThoughts } from './signature.js';

export interface AnthropicEventsOptions {
  /** Names the message when nothing of the neuron's answer is known yet, and goes into errors. */
  readonly requestId: string;
  readonly model: string;
  /** Callers that did not ask for thinking are shown none. */
  readonly showsThinking: boolean;
}

export interface AnthropicEventsState extends AnthropicEventsOptions {
  readonly isStarted: boolean;
  readonly isOver: boolean;
  /** Index of the block that is open, or of the next one. */
  readonly index: number;
}

/** Nothing has come for a while. */
export interface Silence {
  readonly type: 'silence';
}

export const startAnthropicEvents = (options: AnthropicEventsOptions): AnthropicEventsState => ({
  ...options,
  isStarted: false,
  isOver: false,
  index: 0,
});

const stopReasons: Readonly<Record<AnswerFinish, AnthropicStopReason>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
};

/** Cached tokens are told apart from computed ones: clients add them up. */
const anthropicUsageOf = ({
  prompt_tokens,
  completion_tokens,
  prompt_tokens_details: details,
}: Usage): AnthropicUsage => {
  const cached = Math.min(prompt_tokens, details?.cached_tokens ?? 0);
  return {
    input_tokens: prompt_tokens - cached,
    cache_read_input_tokens: cached,
    cache_creation_input_tokens: 0,
    output_tokens: completion_tokens,
  };
};

const noUsage: AnthropicUsage = {
  input_tokens: 0,
  cache_read_input_tokens: 0,
  cache_creation_input_tokens: 0,
  output_tokens: 0,
};

const messageStart = (id: string, model: string): AnthropicStreamEvent => ({
  type: 'message_start',
  message: {
    id,
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: noUsage,
  },
});

/** Ids of tool calls in the form that Anthropic's have. */
export const toolUseId = (id: string): string => `toolu_${id.replace(/^call_/, '').replace(/[^A-Za-z0-9_-]/g, '_')}`;

/** The events of a block, given the index it has. */
const blockEvents = (event: AnswerEvent, index: number): readonly AnthropicStreamEvent[] => {
  const start = (block: Extract<AnthropicStreamEvent, { type: 'content_block_start' }>['content_block']) =>
    [{ type: 'content_block_start', index, content_block: block }] as const;
  const delta = (value: Extract<AnthropicStreamEvent, { type: 'content_block_delta' }>['delta']) =>
    [{ type: 'content_block_delta', index, delta: value }] as const;
  const stop = [{ type: 'content_block_stop', index }] as const;
  switch (event.type) {
    case 'text-start':
      return start({ type: 'text', text: '' });
    case 'text-delta':
      return delta({ type: 'text_delta', text: event.text });
    case 'reasoning-start':
      return start({ type: 'thinking', thinking: '', signature: '' });
    case 'reasoning-delta':
      return delta({ type: 'thinking_delta', thinking: event.text });
    case 'reasoning-end':
      return [...delta({ type: 'signature_delta', signature: signThoughts(event.text) }), ...stop];
    case 'tool-start':
      return start({ type: 'tool_use', id: toolUseId(event.id), name: event.name, input: {} });
    case 'tool-delta':
      return delta({ type: 'input_json_delta', partial_json: event.fragment });
    case 'text-end':
    case 'tool-end':
      return stop;
    default:
      return [];
  }
};

const endEvents = (event: Extract<AnswerEvent, { type: 'answer-end' }>): readonly AnthropicStreamEvent[] => {
  const { finish, stopString, usage, deltas } = event;
  return [
    {
      type: 'message_delta',
      delta: { stop_reason: stopString === null ? stopReasons[finish] : 'stop_sequence', stop_sequence: stopString },
      usage: usage === null ? { output_tokens: deltas } : anthropicUsageOf(usage),
    },
    { type: 'message_stop' },
  ];
};

/** Says one event of an answer in Anthropic's dialect. What is given in a legal order leaves in a legal order. */
export const toAnthropicEvents = (
  state: AnthropicEventsState,
  event: AnswerEvent | Silence,
): Step<AnthropicEventsState, AnthropicStreamEvent> => {
  if (state.isOver) return { state, events: [] };
  switch (event.type) {
    case 'silence': {
      // Clients give up on a stream in which no event comes, and take no ping before its start.
      const start = state.isStarted ? [] : [messageStart(`msg_${state.requestId}`, state.model)];
      return { state: { ...state, isStarted: true }, events: [...start, { type: 'ping' }] };
    }
    case 'answer-start':
      if (state.isStarted) return { state, events: [] };
      return {
        state: { ...state, isStarted: true },
        events: [messageStart(`msg_${event.id || state.requestId}`, event.model || state.model)],
      };
    case 'answer-failed':
      return { state: { ...state, isOver: true }, events: [anthropicFault(event.fault, null, state.requestId)] };
    case 'answer-end':
      return { state: { ...state, isOver: true }, events: endEvents(event) };
    default: {
      if (event.type.startsWith('reasoning-') && !state.showsThinking) return { state, events: [] };
      const isEnd = event.type.endsWith('-end');
      return { state: isEnd ? { ...state, index: state.index + 1 } : state, events: blockEvents(event, state.index) };
    }
  }
};

/** The message that a client accumulates from these events; undefined when they do not make a whole one. */
export const foldAnthropicEvents = (events: readonly AnthropicStreamEvent[]): AnthropicMessage | undefined => {
  let message: AnthropicMessage | undefined;
  let json = '';
  for (const event of events) {
    if (event.type === 'message_start') message = { ...event.message, content: [] };
    else if (message === undefined || event.type === 'error') return undefined;
    else if (event.type === 'content_block_start') {
      message.content.push({ ...event.content_block });
      json = '';
    } else if (event.type === 'message_delta') {
      message = { ...message, ...event.delta, usage: { ...message.usage, ...event.usage } as AnthropicUsage };
    } else {
      const block = message.content.at(-1);
      if (event.type === 'content_block_delta') {
        const { delta } = event;
        if (delta.type === 'input_json_delta') json += delta.partial_json;
        else if (delta.type === 'text_delta' && block?.type === 'text') block.text += delta.text;
        else if (delta.type === 'thinking_delta' && block?.type === 'thinking') block.thinking += delta.thinking;
        else if (delta.type === 'signature_delta' && block?.type === 'thinking') block.signature = delta.signature;
      } else if (event.type === 'content_block_stop' && block?.type === 'tool_use') {
        block.input = JSON.parse(json) as Record<string, unknown>;
      }
    }
  }
  return message?.stop_reason == null ? undefined : message;
};
