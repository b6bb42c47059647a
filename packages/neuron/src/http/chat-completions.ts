import {
  type ChatCompletionRequest,
  type ChatCompletionResponse,
  type ChatLogprobs,
  type ChatResponseMessage,
  chatChunks,
  chatCompletionRequest,
  resumeField,
} from '@helexa/core';
import { defaultOutputTokens } from '../engine/context-limit.js';
import type { GenerationEvent, TokenLogprob } from '../engine/events.js';
import type { GenerationRequest } from '../engine/generation.js';
import type { ServedModel } from '../model/served-model.js';
import type { Tokenizer } from '../text/tokenizer/tokenizer.js';
import { withImages } from './chat-images.js';
import { toTemplateMessages } from './chat-messages.js';
import { readContinuity, type StreamItem, streamAnswer } from './checkpoints.js';
import { type Exchange, readBody, sendJson } from './exchange.js';
import { type InferenceContext, observed, serverTiming, toWireUsage } from './generation-run.js';
import { principalOf } from './principal.js';
import { readMaxTokens, readSampling, refuseUnless, refuseUnlessGenerating } from './sampling-request.js';
import { wantedAnswer } from './wanted-answer.js';

/** `POST /v1/chat/completions`. */
export async function chatCompletions(exchange: Exchange, context: InferenceContext): Promise<void> {
  const body = await readBody(exchange, chatCompletionRequest.extend(resumeField), context.bodyLimitBytes);
  const model = context.modelOf(body.model);
  const showsThinking = /^(1|true|yes)$/i.test(String(exchange.request.headers['x-include-thinking'] ?? ''));
  const principal = principalOf(exchange.request);
  model.engine.knock(principal, body.n ?? 1);
  const request = { ...(await readChatRequest(body, model, showsThinking, exchange.signal)), principal };
  const isSingle = body.stream === true && request.choices === 1 && request.sampling.topLogprobs === null;
  const continuity = readContinuity(exchange, body, model, isSingle);
  const { checkpoints, resume } = continuity;
  // After this nothing of the request is refused: what cannot run was refused by `generate`.
  const generation = model.engine.generate({ ...request, checkpoints, ...(resume ? { resumed: resume.tokens } : {}) });
  const events = observed(generation, exchange, model, context);
  const answer: ChatAnswer = {
    id: resume?.id ?? context.newId('chatcmpl-'),
    created: resume?.created ?? Math.floor(context.clock.unixMs() / 1000),
    model: body.model,
    tokenizer: model.tokenizer,
    markers: showsThinking ? model.facts.reasoning : null,
  };
  if (!body.stream) {
    const whole = await collectChat(events, request.choices, answer);
    sendJson(exchange, 200, whole, serverTiming(whole.usage));
    return;
  }
  const sendsUsage = body.stream_options?.include_usage === true;
  const items = chatStream(events, request.choices, answer, sendsUsage);
  await streamAnswer(exchange, context.clock, items, continuity);
}

/** A chat request as the engine takes it; refuses by name what would change the answer and cannot be honoured. */
export async function readChatRequest(
  body: ChatCompletionRequest,
  model: ServedModel,
  showsThinking: boolean,
  signal: AbortSignal,
): Promise<GenerationRequest> {
  refuseUnlessGenerating(model);
  const tools = body.tool_choice === 'none' ? [] : (body.tools ?? []);
  const wanted = wantedAnswer(body, tools);
  refuseUnless(!(body.top_logprobs != null && !body.logprobs), 'top_logprobs', `it is given without 'logprobs'`);

  const { choices, stops, seed, sampling } = readSampling(body, model, body.logprobs ? (body.top_logprobs ?? 0) : null);
  const thinks = body.reasoning_effort == null ? showsThinking : body.reasoning_effort !== 'none';
  const { messages, images } = toTemplateMessages(body.messages, { id: model.id, takesImages: model.images !== null });
  const variables: Readonly<Record<string, unknown>> = { enable_thinking: thinks, ...body.chat_template_kwargs };
  const ids = model.encodeChat({
    messages,
    tools: tools.length > 0 ? tools : null,
    variables,
  });
  const schemas = tools.map((tool) => ({
    name: tool.function.name,
    ...(tool.function.parameters ? { parameters: tool.function.parameters } : {}),
  }));
  const { prompt, visual } = await withImages(ids, images, model.images);
  return {
    prompt,
    visual,
    maxTokens: readMaxTokens(body, defaultOutputTokens),
    choices,
    sampling,
    seed,
    stopTokens: model.stopTokens,
    openSink: () => model.openSink({ stops, chat: { prompt, tools: schemas.length > 0 ? schemas : null } }),
    openConstraint:
      wanted && (await model.constrain(wanted, { prompt, mayReason: variables['enable_thinking'] !== false })),
    signal,
  };
}

interface ChatAnswer {
  readonly id: string;
  readonly created: number;
  readonly model: string;
  readonly tokenizer: Tokenizer;
  /** Reasoning is shown as content between these; null: in its own field. */
  readonly markers: { readonly open: string; readonly close: string } | null;
}

/** The chunks of a streamed answer: the role of every choice first, before anything is computed. */
async function* chatStream(
  events: AsyncIterable<GenerationEvent>,
  choices: number,
  answer: ChatAnswer,
  sendsUsage: boolean,
): AsyncGenerator<StreamItem, void, void> {
  const chunks = chatChunks(answer);
  const { tokenizer } = answer;
  for (let choice = 0; choice < choices; choice++) yield { chunk: chunks.role(choice) };
  yield { token: null };
  const thoughts = Array.from({ length: choices }, () => new ThoughtMarkers(answer.markers));
  for await (const event of events) {
    switch (event.type) {
      case 'text-delta': {
        const text = thoughts[event.choice]!.content(event.text);
        yield { chunk: chunks.content(text, event.choice, toChatLogprobs(event.logprobs, tokenizer)) };
        break;
      }
      case 'reasoning-delta': {
        const { isContent, text } = thoughts[event.choice]!.reasoning(event.text);
        yield { chunk: isContent ? chunks.content(text, event.choice) : chunks.reasoning(text, event.choice) };
        break;
      }
      case 'tool-call': {
        const { index, id, name } = event.call;
        const call = { index, id, type: 'function' as const, function: { name, arguments: event.call.arguments } };
        yield { chunk: chunkOf(answer, event.choice, { tool_calls: [call] }) };
        break;
      }
      case 'choice-end': {
        const rest = thoughts[event.choice]!.end();
        const logprobs = toChatLogprobs(event.logprobs, tokenizer);
        if (rest !== '') yield { chunk: chunks.content(rest, event.choice) };
        const finish = chunks.finish(event.reason, event.choice, event.stopString);
        const choices = finish.choices.map((each) => ({ ...each, logprobs }));
        yield { chunk: logprobs ? { ...finish, choices } : finish };
        break;
      }
      case 'generation-end':
        if (sendsUsage) yield { chunk: chunks.usage(toWireUsage(event.usage, event.timing)) };
        break;
      case 'checkpoint':
        yield { token: event.token };
        break;
      case 'resumed':
        yield 'resumed';
        break;
      case 'prefill-end':
        break;
    }
  }
}

const chunkOf = ({ id, created, model }: ChatAnswer, index: number, delta: unknown) => ({
  id,
  object: 'chat.completion.chunk',
  created,
  model,
  choices: [{ index, delta, finish_reason: null }],
});

/** The whole answer, from the same events as the streamed one. */
async function collectChat(
  events: AsyncIterable<GenerationEvent>,
  choices: number,
  answer: ChatAnswer,
): Promise<ChatCompletionResponse> {
  const thoughts = Array.from({ length: choices }, () => new ThoughtMarkers(answer.markers));
  const drafts = Array.from({ length: choices }, () => ({
    content: '',
    reasoning: '',
    calls: [] as NonNullable<ChatResponseMessage['tool_calls']>,
    logprobs: [] as TokenLogprob[],
    finish: 'stop' as 'stop' | 'length' | 'tool_calls',
    stopString: null as string | null,
  }));
  let usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  for await (const event of events) {
    if (event.type === 'generation-end') usage = toWireUsage(event.usage, event.timing);
    if (!('choice' in event)) continue;
    const draft = drafts[event.choice]!;
    const thought = thoughts[event.choice]!;
    switch (event.type) {
      case 'text-delta':
        draft.content += thought.content(event.text);
        draft.logprobs.push(...event.logprobs);
        break;
      case 'reasoning-delta': {
        const { isContent, text } = thought.reasoning(event.text);
        if (isContent) draft.content += text;
        else draft.reasoning += text;
        break;
      }
      case 'tool-call': {
        const { id, name } = event.call;
        draft.calls.push({ id, type: 'function', function: { name, arguments: event.call.arguments } });
        break;
      }
      case 'choice-end':
        draft.content += thought.end();
        draft.logprobs.push(...event.logprobs);
        draft.finish = event.reason;
        draft.stopString = event.stopString;
        break;
      case 'prefill-end':
        break;
    }
  }
  return {
    id: answer.id,
    object: 'chat.completion',
    created: answer.created,
    model: answer.model,
    choices: drafts.map((draft, index) => ({
      index,
      message: {
        role: 'assistant',
        content: draft.content === '' && draft.calls.length > 0 ? null : draft.content,
        ...(draft.reasoning !== '' ? { reasoning_content: draft.reasoning } : {}),
        ...(draft.calls.length > 0 ? { tool_calls: draft.calls } : {}),
      },
      logprobs: toChatLogprobs(draft.logprobs, answer.tokenizer) ?? null,
      finish_reason: draft.finish,
      ...(draft.stopString === null ? {} : { stop_reason: draft.stopString }),
    })),
    usage,
  };
}

/** Writes reasoning as content between the model's own markers, when the client asked for that. */
class ThoughtMarkers {
  readonly #markers: { readonly open: string; readonly close: string } | null;
  #isOpen = false;

  constructor(markers: { readonly open: string; readonly close: string } | null) {
    this.#markers = markers;
  }

  reasoning(text: string): { readonly isContent: boolean; readonly text: string } {
    if (!this.#markers) return { isContent: false, text };
    const head = this.#isOpen ? '' : this.#markers.open;
    this.#isOpen = true;
    return { isContent: true, text: head + text };
  }

  content(text: string): string {
    return this.end() + text;
  }

  end(): string {
    if (!this.#isOpen) return '';
    this.#isOpen = false;
    return this.#markers?.close ?? '';
  }
}

function toChatLogprobs(logprobs: readonly TokenLogprob[], tokenizer: Tokenizer): ChatLogprobs | undefined {
  if (logprobs.length === 0) return undefined;
  const entry = (token: number, logprob: number) => ({
    token: tokenizer.decode([token]),
    logprob,
    bytes: [...tokenizer.bytesOf(token)],
  });
  return {
    content: logprobs.map(({ token, logprob, top }) => ({
      ...entry(token, logprob),
      top_logprobs: top.map((each) => entry(each.token, each.logprob)),
    })),
  };
}
