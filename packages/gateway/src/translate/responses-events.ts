import type { ResponsesOutputItem, ResponsesResponse, ResponsesStreamEvent, ResponsesUsage, Usage } from '@helexa/core';
import type { AnswerEvent, Fault, Step } from './answer-event.js';
import { signThoughts } from './signature.js';

/** What an answer repeats of its request. */
export type ResponsesEcho = Pick<
  ResponsesResponse,
  | 'instructions'
  | 'max_output_tokens'
  | 'metadata'
  | 'model'
  | 'parallel_tool_calls'
  | 'temperature'
  | 'tool_choice'
  | 'tools'
  | 'top_p'
>;

export interface ResponsesEventsOptions {
  /** Names the response when nothing of the neuron's answer is known. */
  readonly requestId: string;
  /** Unix seconds. */
  readonly createdSeconds: number;
  readonly echo: ResponsesEcho;
}

/** An event without what every event has. */
type Draft = ResponsesStreamEvent extends infer Event
  ? Event extends ResponsesStreamEvent
    ? Omit<Event, 'sequence_number'>
    : never
  : never;

type Item<Type extends ResponsesOutputItem['type']> = Extract<ResponsesOutputItem, { type: Type }>;

export interface ResponsesEventsState {
  readonly options: ResponsesEventsOptions;
  /** Null until the answer has begun. */
  readonly shell: ResponsesResponse | null;
  readonly sequence: number;
  readonly isOver: boolean;
  /** Items in the order of their `output_index`, as far as they are known. */
  readonly output: readonly ResponsesOutputItem[];
  /** Whether the thoughts are being shown; what is thought after the first visible thing is not. */
  readonly isReasoning: boolean;
  /** Position of the message item; it is opened by the first thing that is no thought, and closed last. */
  readonly message: number | null;
}

export const startResponsesEvents = (options: ResponsesEventsOptions): ResponsesEventsState => ({
  options,
  shell: null,
  sequence: 0,
  isOver: false,
  output: [],
  isReasoning: false,
  message: null,
});

const usageOf = (usage: Usage | null): ResponsesUsage | null =>
  usage && {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: { cached_tokens: usage.prompt_tokens_details?.cached_tokens ?? 0 },
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens ?? 0 },
    total_tokens: usage.prompt_tokens + usage.completion_tokens,
  };

const textPart = (text: string) => ({ type: 'output_text' as const, text, annotations: [] });
const summaryPart = (text: string) => ({ type: 'summary_text' as const, text });

/** One pass over one input: the state as it changes, and the events that leave. */
class Pass {
  readonly events: ResponsesStreamEvent[] = [];
  state: ResponsesEventsState;

  constructor(state: ResponsesEventsState) {
    this.state = state;
  }

  set(change: Partial<ResponsesEventsState>): void {
    this.state = { ...this.state, ...change };
  }

  emit(draft: Draft): void {
    this.events.push({ ...draft, sequence_number: this.state.sequence } as ResponsesStreamEvent);
    this.set({ sequence: this.state.sequence + 1 });
  }

  get #key(): string {
    return (this.state.shell?.id ?? '').replace(/^resp_/, '');
  }

  start(id: string, model: string, createdSeconds: number): void {
    if (this.state.shell) return;
    const { options } = this.state;
    const shell: ResponsesResponse = {
      id: `resp_${id || options.requestId}`,
      object: 'response',
      created_at: createdSeconds || options.createdSeconds,
      status: 'in_progress',
      error: null,
      incomplete_details: null,
      previous_response_id: null,
      store: false,
      output: [],
      usage: null,
      ...options.echo,
      model: model || options.echo.model,
    };
    this.set({ shell });
    this.emit({ type: 'response.created', response: shell });
  }

  #put(index: number, item: ResponsesOutputItem): void {
    const output = [...this.state.output];
    output[index] = item;
    this.set({ output });
  }

  #item<Type extends ResponsesOutputItem['type']>(index: number): Item<Type> {
    return this.state.output[index] as Item<Type>;
  }

  #addItem(item: ResponsesOutputItem): number {
    const index = this.state.output.length;
    this.#put(index, item);
    this.emit({ type: 'response.output_item.added', output_index: index, item });
    return index;
  }

  #finishItem(index: number, item: ResponsesOutputItem): void {
    this.#put(index, item);
    this.emit({ type: 'response.output_item.done', output_index: index, item });
  }

  openReasoning(): void {
    if (this.state.output.length > 0) return;
    const id = `rs_${this.#key}`;
    this.#addItem({ type: 'reasoning', id, summary: [], status: 'in_progress' });
    const part = summaryPart('');
    this.emit({ type: 'response.reasoning_summary_part.added', item_id: id, output_index: 0, summary_index: 0, part });
    this.set({ isReasoning: true });
  }

  reasoning(delta: string): void {
    if (!this.state.isReasoning) return;
    const { id } = this.#item<'reasoning'>(0);
    this.emit({
      type: 'response.reasoning_summary_text.delta',
      item_id: id,
      output_index: 0,
      summary_index: 0,
      delta,
    });
  }

  closeReasoning(text: string): void {
    if (!this.state.isReasoning) return;
    const item = this.#item<'reasoning'>(0);
    const at = { item_id: item.id, output_index: 0, summary_index: 0 };
    const part = summaryPart(text);
    this.emit({ type: 'response.reasoning_summary_text.done', ...at, text });
    this.emit({ type: 'response.reasoning_summary_part.done', ...at, part });
    this.#finishItem(0, { ...item, summary: [part], encrypted_content: signThoughts(text), status: 'completed' });
    this.set({ isReasoning: false });
  }

  openMessage(): void {
    if (this.state.message !== null) return;
    const id = `msg_${this.#key}`;
    const message = this.#addItem({ type: 'message', id, role: 'assistant', status: 'in_progress', content: [] });
    this.set({ message });
    const part = textPart('');
    this.emit({ type: 'response.content_part.added', item_id: id, output_index: message, content_index: 0, part });
  }

  text(delta: string): void {
    const at = this.state.message as number;
    const item = this.#item<'message'>(at);
    this.#put(at, { ...item, content: [textPart((item.content[0]?.text ?? '') + delta)] });
    this.emit({
      type: 'response.output_text.delta',
      item_id: item.id,
      output_index: at,
      content_index: 0,
      delta,
      logprobs: [],
    });
  }

  openCall(callId: string, name: string): void {
    this.openMessage();
    const id = `fc_${this.#key}_${this.state.output.length - (this.state.message as number) - 1}`;
    this.#addItem({ type: 'function_call', id, call_id: callId, name, arguments: '', status: 'in_progress' });
  }

  callArguments(delta: string): void {
    const at = this.state.output.length - 1;
    const item = this.#item<'function_call'>(at);
    this.emit({ type: 'response.function_call_arguments.delta', item_id: item.id, output_index: at, delta });
  }

  closeCall(text: string): void {
    const at = this.state.output.length - 1;
    const item = { ...this.#item<'function_call'>(at), arguments: text, status: 'completed' as const };
    const { id, call_id: callId, name } = item;
    this.emit({
      type: 'response.function_call_arguments.done',
      item_id: id,
      output_index: at,
      call_id: callId,
      name,
      arguments: text,
    });
    this.#finishItem(at, item);
  }

  #closeMessage(status: 'completed' | 'incomplete'): void {
    this.openMessage();
    const at = this.state.message as number;
    const item = this.#item<'message'>(at);
    const part = item.content[0] ?? textPart('');
    const where = { item_id: item.id, output_index: at, content_index: 0 };
    this.emit({ type: 'response.output_text.done', ...where, text: part.text, logprobs: [] });
    this.emit({ type: 'response.content_part.done', ...where, part });
    this.#finishItem(at, { ...item, content: [part], status });
  }

  end({ finish, usage }: Extract<AnswerEvent, { type: 'answer-end' }>): void {
    const reason = finish === 'length' ? 'max_output_tokens' : finish === 'content_filter' ? finish : null;
    const status = reason === null ? 'completed' : 'incomplete';
    this.#closeMessage(status);
    const response: ResponsesResponse = {
      ...(this.state.shell as ResponsesResponse),
      status,
      incomplete_details: reason === null ? null : { reason },
      output: [...this.state.output],
      usage: usageOf(usage),
    };
    this.emit({ type: `response.${status}`, response });
    this.set({ isOver: true });
  }

  fail({ code, message }: Fault): void {
    this.start('', '', 0);
    const output = this.state.output.map(
      (item): ResponsesOutputItem => (item.status === 'completed' ? item : { ...item, status: 'incomplete' }),
    );
    const shell = this.state.shell as ResponsesResponse;
    const response: ResponsesResponse = { ...shell, status: 'failed', error: { code, message }, output };
    this.emit({ type: 'response.failed', response });
    this.set({ isOver: true });
  }
}

/** Says one event of an answer in the dialect of OpenAI Responses. What is given in a legal order leaves in a legal order. */
export const toResponsesEvents = (
  state: ResponsesEventsState,
  event: AnswerEvent,
): Step<ResponsesEventsState, ResponsesStreamEvent> => {
  const pass = new Pass(state);
  if (state.isOver) return pass;
  switch (event.type) {
    case 'answer-start':
      pass.start(event.id, event.model, event.createdSeconds);
      pass.emit({ type: 'response.in_progress', response: pass.state.shell as ResponsesResponse });
      break;
    case 'reasoning-start':
      pass.openReasoning();
      break;
    case 'reasoning-delta':
      pass.reasoning(event.text);
      break;
    case 'reasoning-end':
      pass.closeReasoning(event.text);
      break;
    case 'text-start':
      pass.openMessage();
      break;
    case 'text-delta':
      pass.text(event.text);
      break;
    case 'text-end':
      break;
    case 'tool-start':
      pass.openCall(event.id, event.name);
      break;
    case 'tool-delta':
      pass.callArguments(event.fragment);
      break;
    case 'tool-end':
      pass.closeCall(event.arguments);
      break;
    case 'answer-end':
      pass.end(event);
      break;
    case 'answer-failed':
      pass.fail(event.fault);
      break;
  }
  return pass;
};
