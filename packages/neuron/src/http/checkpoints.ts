import {
  type Clock,
  CortexError,
  checkpointHeader,
  encodeCheckpoint,
  encodeSse,
  type StreamResume,
  streamResume,
  toOpenAiError,
} from '@helexa/core';
import type { ServedModel } from '../model/served-model.js';
import { type Exchange, logRejection } from './exchange.js';
import { SseStream } from './sse-stream.js';

/** Whether a stream says its checkpoints, and what it goes on from. */
export interface StreamContinuity {
  readonly checkpoints: boolean;
  readonly resume: StreamResume | null;
  /** What tells the caller that its wish was understood. */
  readonly headers: Readonly<Record<string, string>>;
}

const none: StreamContinuity = { checkpoints: false, resume: null, headers: {} };

/** What the caller wants of a stream; a stream whose events are not made by one row of tokens alone has no checkpoints. */
export function readContinuity(
  { request }: Exchange,
  body: { readonly cortex_resume?: unknown },
  model: ServedModel,
  isSingle: boolean,
): StreamContinuity {
  const wish = request.headers[checkpointHeader];
  if (wish !== 'send' && wish !== 'resume') return none;
  if (wish === 'send')
    return isSingle ? { checkpoints: true, resume: null, headers: { [checkpointHeader]: wish } } : none;
  const resume = streamResume.safeParse(body.cortex_resume).data;
  if (!isSingle || !resume || resume.tokens.some((token) => token >= model.facts.vocab)) {
    const reason = 'it is no beginning of one answer of this model; the tokens of its checkpoints are wanted';
    throw new CortexError('invalid_request_body', { param: 'cortex_resume', reason });
  }
  return { checkpoints: true, resume, headers: { [checkpointHeader]: wish } };
}

/** One thing that a streamed answer says. */
export type StreamItem = { readonly chunk: unknown } | { readonly token: number | null } | 'resumed';

/** Answers with a stream: its items, then its proper end, or the error that came in between. */
export async function streamAnswer(
  exchange: Exchange,
  clock: Clock,
  items: AsyncIterable<StreamItem>,
  continuity: StreamContinuity,
): Promise<void> {
  const stream = new SseStream(exchange.response, clock, exchange.signal, continuity.headers);
  try {
    await writeStream(stream, items, continuity);
  } catch (error) {
    const { status, body, cause } = toOpenAiError(error, 'neuron');
    if (!exchange.signal.aborted) logRejection(exchange, status, body.error, cause);
    await stream.fail(body);
    return;
  }
  await stream.finish();
}

/** Writes a streamed answer; with checkpoints, what a token made and its checkpoint leave together. */
async function writeStream(
  stream: SseStream,
  items: AsyncIterable<StreamItem>,
  { checkpoints, resume }: StreamContinuity,
): Promise<void> {
  let isTold = resume !== null;
  let frames = '';
  for await (const item of items) {
    if (item === 'resumed') isTold = false;
    else if (isTold) continue;
    else if ('chunk' in item) {
      if (checkpoints) frames += encodeSse(JSON.stringify(item.chunk));
      else await stream.send(item.chunk);
    } else if (checkpoints) {
      await stream.sendFrames(frames + encodeCheckpoint(item.token === null ? [] : [item.token]));
      frames = '';
    }
  }
  if (frames !== '') await stream.sendFrames(frames);
}
