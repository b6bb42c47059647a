import { setMaxListeners } from 'node:events';
import {
  type CompletionLogprobs,
  type CompletionRequest,
  type CompletionResponse,
  completionChunks,
  completionRequest,
  resumeField,
  type StreamIdentity,
} from '@helexa/core';
import type { FinishReason, GenerationEvent, TokenLogprob } from '../engine/events.js';
import type { GenerationRequest } from '../engine/generation.js';
import type { ServedModel } from '../model/served-model.js';
import type { Tokenizer } from '../text/tokenizer/tokenizer.js';
import { readContinuity, type StreamItem, streamAnswer } from './checkpoints.js';
import { type Exchange, readBody, sendJson } from './exchange.js';
import {
  addUsage,
  type InferenceContext,
  observed,
  serverTiming,
  type TimedUsage,
  toWireUsage,
} from './generation-run.js';
import { principalOf } from './principal.js';
import { readTexts } from './read-texts.js';
import { readMaxTokens, readSampling, refuseUnlessGenerating, refuseUnsupported } from './sampling-request.js';
import { wantedFormat } from './wanted-answer.js';

/** OpenAI's own default for plain completions. */
const defaultCompletionTokens = 16;
const maxPrompts = 64;

/** `POST /v1/completions`: one generation per prompt; choice `p * n + c` is choice c of prompt p. */
export async function completions(exchange: Exchange, context: InferenceContext): Promise<void> {
  const body = await readBody(exchange, completionRequest.extend(resumeField), context.bodyLimitBytes);
  const model = context.modelOf(body.model);
  const principal = principalOf(exchange.request);
  model.engine.knock(principal, 1);
  // A prompt that is refused after others were queued takes them along.
  const local = new AbortController();
  const signal = AbortSignal.any([exchange.signal, local.signal]);
  // Every prompt listens; their number is bounded.
  setMaxListeners(maxPrompts + 1, signal);
  const requests = await readCompletionRequests(body, model, signal, principal);
  const [first] = requests as [GenerationRequest];
  const isSingle = body.stream === true && requests.length * first.choices === 1 && first.sampling.topLogprobs === null;
  const continuity = readContinuity(exchange, body, model, isSingle);
  const { checkpoints, resume } = continuity;
  let generations: AsyncIterable<GenerationEvent>[];
  try {
    generations = requests.map((request) =>
      model.engine.generate({ ...request, checkpoints, ...(resume ? { resumed: resume.tokens } : {}) }),
    );
  } catch (error) {
    local.abort();
    throw error;
  }
  const { choices } = first;
  const prompts = generations.map((generation, index) =>
    shifted(observed(generation, exchange, model, context), index * choices),
  );
  const identity = {
    id: resume?.id ?? context.newId('cmpl-'),
    created: resume?.created ?? Math.floor(context.clock.unixMs() / 1000),
    model: body.model,
  };
  const makers = Array.from({ length: prompts.length * choices }, () => new LogprobMaker(model.tokenizer));
  if (!body.stream) {
    const answer = await collect(merged(prompts, local), makers);
    sendJson(exchange, 200, { ...identity, object: 'text_completion', ...answer }, serverTiming(answer.usage));
    return;
  }
  const sendsUsage = body.stream_options?.include_usage === true;
  const items = completionStream(merged(prompts, local), makers, identity, sendsUsage);
  await streamAnswer(exchange, context.clock, items, continuity);
}

/** What a streamed answer says. */
async function* completionStream(
  events: AsyncIterable<GenerationEvent>,
  makers: readonly LogprobMaker[],
  identity: StreamIdentity,
  sendsUsage: boolean,
): AsyncGenerator<StreamItem, void, void> {
  const chunks = completionChunks(identity);
  let usage: TimedUsage | null = null;
  for await (const event of events) {
    if (event.type === 'text-delta') {
      const logprobs = makers[event.choice]!.next(event.logprobs);
      yield { chunk: chunks.text(event.text, event.choice, logprobs) };
    } else if (event.type === 'choice-end') {
      const chunk = chunks.finish(finishOf(event.reason), event.choice);
      const logprobs = makers[event.choice]!.next(event.logprobs);
      yield { chunk: { ...chunk, choices: chunk.choices.map((choice) => ({ ...choice, logprobs })) } };
    } else if (event.type === 'generation-end') {
      const own = toWireUsage(event.usage, event.timing);
      usage = usage ? addUsage(usage, own) : own;
    } else if (event.type === 'checkpoint') yield { token: event.token };
    else if (event.type === 'resumed') yield 'resumed';
  }
  if (usage && sendsUsage) yield { chunk: chunks.usage(usage) };
}

/** The requests of a body, one per prompt; refuses what cannot be honoured. */
export async function readCompletionRequests(
  body: CompletionRequest,
  model: ServedModel,
  signal: AbortSignal,
  principal: string | null = null,
): Promise<GenerationRequest[]> {
  refuseUnlessGenerating(model);
  refuseUnsupported(body.echo === true, 'echo', true, 'false is');
  refuseUnsupported(body.suffix != null && body.suffix !== '', 'suffix', body.suffix, 'none is');
  const isBestOf = body.best_of != null && body.best_of !== (body.n ?? 1);
  refuseUnsupported(isBestOf, 'best_of', body.best_of, `the value of 'n' is`);
  const { choices, stops, seed, sampling } = readSampling(body, model, body.logprobs ?? null);
  const maxTokens = readMaxTokens(body, defaultCompletionTokens);
  const prompts = readTexts(body.prompt, 'prompt', model);
  refuseUnsupported(prompts.length > maxPrompts, 'prompt', `${prompts.length} prompts`, `up to ${maxPrompts} are`);
  const wanted = wantedFormat(body.response_format);
  const openConstraint = wanted && (await model.constrain(wanted, null));
  return prompts.map((prompt) => ({
    principal,
    openConstraint,
    prompt,
    maxTokens,
    choices,
    sampling,
    seed,
    stopTokens: model.stopTokens,
    openSink: () => model.openSink({ stops, chat: null }),
    signal,
  }));
}

const finishOf = (reason: FinishReason): 'stop' | 'length' => (reason === 'length' ? 'length' : 'stop');

async function* shifted(events: AsyncIterable<GenerationEvent>, by: number): AsyncGenerator<GenerationEvent> {
  for await (const event of events) yield 'choice' in event ? { ...event, choice: event.choice + by } : event;
}

/** Events of several generations as they come; when one fails, the others are cancelled and read out. */
async function* merged(
  sources: readonly AsyncGenerator<GenerationEvent>[],
  local: AbortController,
): AsyncGenerator<GenerationEvent> {
  const pending = new Map(sources.map((source, index) => [index, nextOf(source, index)]));
  try {
    while (pending.size > 0) {
      const { index, result } = await Promise.race(pending.values());
      if (result.done) {
        pending.delete(index);
        continue;
      }
      pending.set(index, nextOf(sources[index]!, index));
      yield result.value;
    }
  } finally {
    local.abort();
    await Promise.allSettled(pending.values());
  }
}

const nextOf = async (source: AsyncGenerator<GenerationEvent>, index: number) => ({
  index,
  result: await source.next(),
});

async function collect(
  events: AsyncIterable<GenerationEvent>,
  makers: readonly LogprobMaker[],
): Promise<Pick<CompletionResponse, 'choices' | 'usage'>> {
  const drafts = makers.map(() => ({ text: '', logprobs: [] as TokenLogprob[], finish: 'stop' as 'stop' | 'length' }));
  let usage: TimedUsage | null = null;
  for await (const event of events) {
    if (event.type === 'generation-end') {
      const own = toWireUsage(event.usage, event.timing);
      usage = usage ? addUsage(usage, own) : own;
    } else if (event.type === 'text-delta') {
      drafts[event.choice]!.text += event.text;
      drafts[event.choice]!.logprobs.push(...event.logprobs);
    } else if (event.type === 'choice-end') {
      drafts[event.choice]!.finish = finishOf(event.reason);
      drafts[event.choice]!.logprobs.push(...event.logprobs);
    }
  }
  return {
    choices: drafts.map(({ text, logprobs, finish }, index) => ({
      index,
      text,
      logprobs: makers[index]!.next(logprobs),
      finish_reason: finish,
    })),
    usage,
  };
}

/** Log-probabilities in the older form; text offsets go on from one event to the next. */
class LogprobMaker {
  readonly #tokenizer: Tokenizer;
  #offset = 0;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  next(logprobs: readonly TokenLogprob[]): CompletionLogprobs | null {
    if (logprobs.length === 0) return null;
    const tokens = logprobs.map(({ token }) => this.#tokenizer.decode([token]));
    const offsets = tokens.map((text) => {
      const at = this.#offset;
      this.#offset += text.length;
      return at;
    });
    return {
      tokens,
      token_logprobs: logprobs.map(({ logprob }) => logprob),
      top_logprobs: logprobs.map(({ top }) =>
        Object.fromEntries(top.map(({ token, logprob }) => [this.#tokenizer.decode([token]), logprob])),
      ),
      text_offset: offsets,
    };
  }
}
