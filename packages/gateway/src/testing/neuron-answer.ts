import { type ChatCompletionChunk, type ChatCompletionResponse, chatChunks, sseDone, type Usage } from '@helexa/core';

/** What a neuron says in one answer, in the order it says it. */
export interface NeuronAnswer {
  readonly reasoning: readonly string[];
  readonly text: readonly string[];
  readonly calls: readonly { readonly id: string; readonly name: string; readonly arguments: readonly string[] }[];
  readonly finish: 'stop' | 'length';
  readonly stopString: string | null;
  /** Null: it does not say. */
  readonly usage: Usage | null;
}

export const identity = { id: 'chatcmpl-7', created: 1_700_000_000, model: 'fake/model' };

export const usageOf = (prompt: number, completion: number, cached = 0, reasoning = 0): Usage => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  ...(cached > 0 ? { prompt_tokens_details: { cached_tokens: cached } } : {}),
  ...(reasoning > 0 ? { completion_tokens_details: { reasoning_tokens: reasoning } } : {}),
});

const finishOf = ({ calls, finish }: NeuronAnswer) => (finish === 'stop' && calls.length > 0 ? 'tool_calls' : finish);

export interface ChunkOptions {
  /** Usage in the chunk of the finish instead of in one of its own. */
  readonly usageWithFinish?: boolean;
  /** Fragments of all calls take turns. */
  readonly interleavesCalls?: boolean;
  readonly sendsRole?: boolean;
}

/** The chunks of that answer. */
export const chunksOf = (answer: NeuronAnswer, options: ChunkOptions = {}): ChatCompletionChunk[] => {
  const { usageWithFinish = false, interleavesCalls = false, sendsRole = true } = options;
  const chunks = chatChunks(identity);
  const starts = answer.calls.map(({ id, name }, index) => chunks.toolCall({ index, id, name }));
  const fragments = answer.calls.map((call, index) =>
    call.arguments.map((fragment) => chunks.toolArguments({ index, fragment })),
  );
  const most = Math.max(0, ...fragments.map(({ length }) => length));
  const calls = interleavesCalls
    ? [...starts, ...Array.from({ length: most }, (_, at) => fragments.flatMap((each) => each[at] ?? [])).flat()]
    : starts.flatMap((start, index) => [start, ...(fragments[index] ?? [])]);
  const finish = chunks.finish(finishOf(answer), 0, answer.stopString);
  return [
    ...(sendsRole ? [chunks.role()] : []),
    ...answer.reasoning.map((text) => chunks.reasoning(text)),
    ...answer.text.map((text) => chunks.content(text)),
    ...calls,
    usageWithFinish && answer.usage ? { ...finish, usage: answer.usage } : finish,
    ...(answer.usage && !usageWithFinish ? [chunks.usage(answer.usage)] : []),
  ];
};

/** Their bytes on the wire. */
export const bytesOf = (chunks: readonly unknown[], lineBreak = '\n', comment = ''): Buffer =>
  Buffer.from(
    [...chunks.map((chunk) => JSON.stringify(chunk)), sseDone]
      .map(
        (data) =>
          `${comment === '' ? '' : `: ${comment}${lineBreak}${lineBreak}`}data: ${data}${lineBreak}${lineBreak}`,
      )
      .join(''),
  );

/** The same answer in one piece. */
export const wholeOf = (answer: NeuronAnswer): ChatCompletionResponse => ({
  ...identity,
  object: 'chat.completion',
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: answer.text.length === 0 && answer.calls.length > 0 ? null : answer.text.join(''),
        ...(answer.reasoning.length > 0 ? { reasoning_content: answer.reasoning.join('') } : {}),
        ...(answer.calls.length > 0
          ? {
              tool_calls: answer.calls.map(({ id, name, arguments: fragments }) => ({
                id,
                type: 'function' as const,
                function: { name, arguments: fragments.join('') },
              })),
            }
          : {}),
      },
      logprobs: null,
      finish_reason: finishOf(answer),
      ...(answer.stopString === null ? {} : { stop_reason: answer.stopString }),
    },
  ],
  usage: answer.usage ?? usageOf(0, 0),
});
