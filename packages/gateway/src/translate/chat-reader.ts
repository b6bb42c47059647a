import { CortexError, sseDone, type Usage } from '@helexa/core';
import { z } from 'zod';
import type { AnswerEvent, AnswerFinish, Step } from './answer-event.js';
import { faultOf, readFault } from './fault.js';

/** A chunk as it may come from a neuron of any version: only what is read here, and nothing of it is essential. */
const tolerantChunk = z.object({
  id: z.string().nullish(),
  created: z.number().nullish(),
  model: z.string().nullish(),
  choices: z
    .array(
      z.object({
        index: z.int().nullish(),
        delta: z
          .object({
            content: z.string().nullish(),
            reasoning_content: z.string().nullish(),
            tool_calls: z
              .array(
                z.object({
                  index: z.int().nullish(),
                  id: z.string().nullish(),
                  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
                }),
              )
              .nullish(),
          })
          .nullish(),
        finish_reason: z.string().nullish(),
        stop_reason: z.unknown().optional(),
      }),
    )
    .nullish(),
  usage: z.unknown().optional(),
});

const wholeUsage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  prompt_tokens_details: z.object({ cached_tokens: z.int().nullish() }).nullish(),
  completion_tokens_details: z.object({ reasoning_tokens: z.int().nullish() }).nullish(),
});

type Delta = NonNullable<NonNullable<z.output<typeof tolerantChunk>['choices']>[number]['delta']>;
type CallDelta = NonNullable<Delta['tool_calls']>[number];

interface Call {
  /** Position that the neuron gave it. */
  readonly index: number;
  readonly id: string | undefined;
  readonly name: string | undefined;
  readonly arguments: string;
  readonly isClosed: boolean;
}

type Block =
  | { readonly kind: 'reasoning' | 'text'; readonly text: string }
  /** `call` is a position in the list of calls; `sent` counts characters of its arguments that have left. */
  | { readonly kind: 'tool'; readonly call: number; readonly sent: number };

export interface ChatReaderState {
  readonly isStarted: boolean;
  readonly isOver: boolean;
  readonly id: string;
  readonly block: Block | null;
  readonly calls: readonly Call[];
  readonly finish: { readonly reason: AnswerFinish; readonly stopString: string | null } | null;
  readonly usage: Usage | null;
  readonly deltas: number;
  readonly atMostOneCall: boolean;
  readonly node: string;
}

export interface ChatReaderOptions {
  /** The caller wants one tool call at most: the first is the answer's last. */
  readonly atMostOneCall?: boolean;
  /** Whose answer it is, for errors. */
  readonly node: string;
}

export const startChatReader = ({ atMostOneCall = false, node }: ChatReaderOptions): ChatReaderState => ({
  isStarted: false,
  isOver: false,
  id: '',
  block: null,
  calls: [],
  finish: null,
  usage: null,
  deltas: 0,
  atMostOneCall,
  node,
});

/** One pass over one input: the state as it changes, and the events that leave. */
class Pass {
  readonly events: AnswerEvent[] = [];
  state: ChatReaderState;

  constructor(state: ChatReaderState) {
    this.state = state;
  }

  set(change: Partial<ChatReaderState>): void {
    this.state = { ...this.state, ...change };
  }

  fail(reason: string): void {
    this.failWith(new CortexError('upstream_failed', { node: this.state.node, reason }));
  }

  failWith(error: CortexError): void {
    if (this.state.isOver) return;
    this.events.push({ type: 'answer-failed', fault: faultOf(error) });
    this.set({ isOver: true });
  }

  start(id: string, model: string, createdSeconds: number): void {
    if (this.state.isStarted) return;
    this.set({ isStarted: true, id });
    this.events.push({ type: 'answer-start', id, model, createdSeconds });
  }

  text(kind: 'reasoning' | 'text', text: string): void {
    if (text === '' || this.state.isOver) return;
    if (this.state.block?.kind !== kind) {
      this.closeBlocks();
      if (this.state.isOver) return;
      this.events.push({ type: `${kind}-start` });
      this.set({ block: { kind, text: '' } });
    }
    const block = this.state.block as Block & { kind: 'reasoning' | 'text' };
    this.set({ block: { kind, text: block.text + text }, deltas: this.state.deltas + 1 });
    this.events.push({ type: `${kind}-delta`, text });
  }

  call(delta: CallDelta): void {
    if (this.state.isOver) return;
    const at = this.#positionOf(delta);
    if (at === undefined) return;
    const before = this.state.calls[at] as Call;
    const fragment = delta.function?.arguments ?? '';
    if (before.isClosed) {
      if (fragment.trim() !== '') this.fail('it sent more arguments for a tool call that was complete');
      return;
    }
    this.#setCall(at, {
      ...before,
      id: before.id ?? (delta.id || undefined),
      name: before.name ?? (delta.function?.name || undefined),
      arguments: before.arguments + fragment,
    });
    this.set({ deltas: this.state.deltas + 1 });
    this.#advanceCalls(false);
  }

  /** Where the call of a fragment is; undefined when the caller does not want a further one. */
  #positionOf(delta: CallDelta): number | undefined {
    const { calls, atMostOneCall } = this.state;
    const byIndex = delta.index == null ? -1 : calls.findLastIndex(({ index }) => index === delta.index);
    const byId = delta.id ? calls.findLastIndex(({ id }) => id === delta.id) : -1;
    const last = calls.length - 1;
    const isFurther = delta.id || (delta.function?.name && calls[last]?.name !== undefined);
    const known = delta.index == null ? (byId >= 0 || isFurther ? byId : last) : byIndex;
    const isOther = known >= 0 && delta.id && calls[known]?.id !== undefined && calls[known]?.id !== delta.id;
    if (known >= 0 && !isOther) return known;
    if (atMostOneCall && calls.length > 0) return undefined;
    const index = delta.index ?? calls.length;
    this.set({ calls: [...calls, { index, id: undefined, name: undefined, arguments: '', isClosed: false }] });
    return calls.length;
  }

  #setCall(at: number, call: Call): void {
    this.set({ calls: this.state.calls.map((each, index) => (index === at ? call : each)) });
  }

  /**
   * Lets the calls out one after the other, though fragments of several may come mixed: a call gives way to the next when its
   * arguments are a whole JSON object, which nothing can follow, or when the answer goes on to something else.
   */
  #advanceCalls(isEnd: boolean): void {
    for (let at = 0; at < this.state.calls.length && !this.state.isOver; at++) {
      const call = this.state.calls[at] as Call;
      if (call.isClosed) continue;
      const isLast = at === this.state.calls.length - 1;
      const mayClose = isEnd || (!isLast && isObjectText(call.arguments));
      if (call.name === undefined) {
        if (isEnd) this.fail('it sent a tool call without a name');
        return;
      }
      this.#openCall(at, call.name);
      this.#sendArguments(at);
      if (!mayClose) return;
      this.#closeCall(at);
    }
  }

  #openCall(at: number, name: string): void {
    if (this.state.block?.kind === 'tool') return;
    this.#closeText();
    const call = this.state.calls[at] as Call;
    const taken = this.state.calls.some(({ id }, index) => index < at && id === call.id);
    const id = call.id === undefined || taken ? `call_${this.state.id}_${at}` : call.id;
    this.#setCall(at, { ...call, id });
    this.set({ block: { kind: 'tool', call: at, sent: 0 } });
    this.events.push({ type: 'tool-start', id, name });
  }

  #sendArguments(at: number): void {
    const { arguments: text } = this.state.calls[at] as Call;
    const block = this.state.block as Block & { kind: 'tool' };
    if (text.length === block.sent) return;
    this.events.push({ type: 'tool-delta', fragment: text.slice(block.sent) });
    this.set({ block: { ...block, sent: text.length } });
  }

  #closeCall(at: number): void {
    const { id, name, arguments: text } = this.state.calls[at] as Call & { id: string; name: string };
    if (text.trim() === '') this.events.push({ type: 'tool-delta', fragment: '{}' });
    else if (!isObjectText(text)) {
      this.fail('the arguments of a tool call are no JSON object');
      return;
    }
    const whole = text.trim() === '' ? `${text}{}` : text;
    this.events.push({ type: 'tool-end', id, name, arguments: whole });
    this.#setCall(at, { ...(this.state.calls[at] as Call), arguments: whole, isClosed: true });
    this.set({ block: null });
  }

  #closeText(): void {
    const { block } = this.state;
    if (block === null || block.kind === 'tool') return;
    this.events.push({ type: `${block.kind}-end`, text: block.text });
    this.set({ block: null });
  }

  /** Ends what is open, and the calls that wait behind it. */
  closeBlocks(): void {
    this.#closeText();
    this.#advanceCalls(true);
  }

  end(): void {
    if (this.state.isOver) return;
    const { finish } = this.state;
    if (finish === null) {
      this.failWith(
        new CortexError('stream_interrupted', {
          node: this.state.node,
          reason: 'the neuron ended it without a finish reason',
        }),
      );
      return;
    }
    this.closeBlocks();
    if (this.state.isOver) return;
    const hasCalls = this.state.calls.length > 0;
    // Agents act on the reason: a call that nobody announces is not run.
    const promoted = finish.reason === 'stop' && hasCalls ? 'tool_calls' : finish.reason;
    const reason = promoted === 'tool_calls' && !hasCalls ? 'stop' : promoted;
    const { usage, deltas } = this.state;
    const stopString = reason === 'stop' ? finish.stopString : null;
    this.events.push({ type: 'answer-end', finish: reason, stopString, usage, deltas });
    this.set({ isOver: true });
  }
}

const isObjectText = (text: string): boolean => {
  if (!text.trimEnd().endsWith('}')) return false;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    // Not yet whole, or never: either way no object.
    return false;
  }
};

const finishOf = (reason: string): AnswerFinish =>
  reason === 'length' || reason === 'tool_calls' || reason === 'content_filter' ? reason : 'stop';

const readUsage = (value: unknown): Usage | null => {
  const parsed = wholeUsage.safeParse(value);
  if (!parsed.success) return null;
  const { prompt_tokens: prompt, completion_tokens: completion } = parsed.data;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: parsed.data.prompt_tokens_details?.cached_tokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: parsed.data.completion_tokens_details?.reasoning_tokens ?? 0 },
  };
};

const readChunk = (pass: Pass, chunk: z.output<typeof tolerantChunk>): void => {
  pass.start(chunk.id ?? '', chunk.model ?? '', Math.floor(chunk.created ?? 0));
  for (const choice of chunk.choices ?? []) {
    // Only one answer is ever asked for.
    if ((choice.index ?? 0) !== 0) continue;
    pass.text('reasoning', choice.delta?.reasoning_content ?? '');
    pass.text('text', choice.delta?.content ?? '');
    for (const call of choice.delta?.tool_calls ?? []) pass.call(call);
    if (choice.finish_reason != null) {
      const stopString = typeof choice.stop_reason === 'string' ? choice.stop_reason : null;
      pass.set({ finish: { reason: finishOf(choice.finish_reason), stopString } });
    }
  }
  const usage = readUsage(chunk.usage);
  if (usage !== null) pass.set({ usage });
};

/** Reads the data of one event of a chat stream. After its end mark, or a fault, nothing is read any more. */
export const readChatEvent = (state: ChatReaderState, data: string): Step<ChatReaderState, AnswerEvent> => {
  const pass = new Pass(state);
  if (state.isOver) return pass;
  if (data === sseDone) pass.end();
  else {
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch (error) {
      pass.failWith(
        new CortexError(
          'upstream_failed',
          { node: state.node, reason: 'an event of its stream is not JSON' },
          { cause: error },
        ),
      );
      return pass;
    }
    const fault = readFault(value);
    const chunk = tolerantChunk.safeParse(value);
    if (fault !== undefined) {
      pass.events.push({ type: 'answer-failed', fault });
      pass.set({ isOver: true });
    } else if (chunk.success) readChunk(pass, chunk.data);
    else pass.fail('an event of its stream is no chat chunk');
  }
  return pass;
};

/** The end of the bytes: a stream that has not ended itself was cut. */
export const endChatStream = (state: ChatReaderState): Step<ChatReaderState, AnswerEvent> => {
  const pass = new Pass(state);
  pass.failWith(
    new CortexError('stream_interrupted', { node: state.node, reason: 'the neuron ended it without an end mark' }),
  );
  return pass;
};

const wholeAnswer = z.looseObject({
  choices: z
    .tuple([
      z.looseObject({
        message: z.looseObject({ tool_calls: z.array(z.looseObject({})).nullish() }),
        finish_reason: z.string(),
      }),
    ])
    .rest(z.unknown()),
});

/** Reads an answer in one piece as the stream it could have been, so that both become the same. */
export const readChatAnswer = (value: unknown, options: ChatReaderOptions): readonly AnswerEvent[] => {
  const parsed = wholeAnswer.safeParse(value);
  const pass = new Pass(startChatReader(options));
  if (!parsed.success) {
    pass.fail('its answer is no chat completion');
    return pass.events;
  }
  const [{ message, ...choice }] = parsed.data.choices;
  const delta = { ...message, tool_calls: message.tool_calls?.map((call, index) => ({ ...call, index })) };
  const asChunk = { ...parsed.data, choices: [{ ...choice, index: 0, delta }] };
  const first = readChatEvent(pass.state, JSON.stringify(asChunk));
  return [...first.events, ...readChatEvent(first.state, sseDone).events];
};
