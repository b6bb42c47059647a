import type { ChatCompletionChunk, ChatDelta, ChatLogprobs, FinishReason, Usage } from './openai-chat.js';
import type { CompletionChunk, CompletionLogprobs } from './openai-completions.js';

/** What all events of one stream share. */
export interface StreamIdentity {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

/** Builds the events of one streamed chat answer, in the form that every client takes. */
export const chatChunks = (identity: StreamIdentity) => {
  const chunk = (choices: ChatCompletionChunk['choices']): ChatCompletionChunk => ({
    id: identity.id,
    object: 'chat.completion.chunk',
    created: identity.created,
    model: identity.model,
    choices,
  });
  const delta = (index: number, value: ChatDelta, logprobs?: ChatLogprobs): ChatCompletionChunk =>
    chunk([{ index, delta: value, ...(logprobs ? { logprobs } : {}), finish_reason: null }]);
  return {
    /** The first event of a choice: it alone has the role. */
    role: (index = 0) => delta(index, { role: 'assistant', content: '' }),
    content: (text: string, index = 0, logprobs?: ChatLogprobs) => delta(index, { content: text }, logprobs),
    reasoning: (text: string, index = 0, logprobs?: ChatLogprobs) =>
      delta(index, { reasoning_content: text }, logprobs),
    toolCall: (call: { index: number; id: string; name: string }, index = 0) =>
      delta(index, {
        tool_calls: [
          { index: call.index, id: call.id, type: 'function', function: { name: call.name, arguments: '' } },
        ],
      }),
    toolArguments: (call: { index: number; fragment: string }, index = 0) =>
      delta(index, { tool_calls: [{ index: call.index, function: { arguments: call.fragment } }] }),
    finish: (reason: FinishReason, index = 0, stopString: string | null = null) =>
      chunk([{ index, delta: {}, finish_reason: reason, ...(stopString === null ? {} : { stop_reason: stopString }) }]),
    /** Only when the client asked for it; last before the end mark. */
    usage: (usage: Usage): ChatCompletionChunk => ({ ...chunk([]), usage }),
  };
};

/** Builds the events of one streamed plain completion. */
export const completionChunks = (identity: StreamIdentity) => {
  const chunk = (choices: CompletionChunk['choices']): CompletionChunk => ({
    id: identity.id,
    object: 'text_completion',
    created: identity.created,
    model: identity.model,
    choices,
  });
  return {
    text: (text: string, index = 0, logprobs: CompletionLogprobs | null = null) =>
      chunk([{ index, text, logprobs, finish_reason: null }]),
    finish: (reason: 'stop' | 'length', index = 0) =>
      chunk([{ index, text: '', logprobs: null, finish_reason: reason }]),
    usage: (usage: Usage): CompletionChunk => ({ ...chunk([]), usage }),
  };
};
