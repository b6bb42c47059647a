/**
 * How a stream outlives its neuron. Asked to, a neuron says after the events of each token which token it was, in a comment that
 * no client sees. What came up to such a checkpoint is exactly what these tokens made: another neuron that is given them builds
 * the same state of its parsers from them, and goes on with the next byte.
 */
import { z } from 'zod';

/**
 * Request header: `send` asks for checkpoints, `resume` asks too and says that the body has `cortex_resume`. An answer that does so
 * has the same header with the same value.
 */
export const checkpointHeader = 'x-cortex-checkpoints';

export const streamResume = z.object({
  /** The answer so far. */
  tokens: z.array(z.int().min(0)),
  /** What the stream was begun with. */
  id: z.string().min(1).max(200),
  created: z.int(),
});
export type StreamResume = z.output<typeof streamResume>;

/** The key of a request that goes on with an answer; it means nothing without the header. */
export const resumeField = { cortex_resume: z.unknown().optional() };

const head = ': cortex-checkpoint';
const headBytes = Buffer.from(head);

/** The comment that ends what these tokens made; without any, the beginning of the stream. */
export const encodeCheckpoint = (tokens: readonly number[]): string => `${[head, ...tokens].join(' ')}\n\n`;

const closingBrace = 0x7d;
const lineFeed = 0x0a;
const zero = 0x30;

/** A request with what it has been answered already; as the last key it wins over one of the same name. */
export const withResume = (body: Buffer, resume: StreamResume): Buffer => {
  const end = body.lastIndexOf(closingBrace);
  return Buffer.concat([body.subarray(0, end), Buffer.from(`,"cortex_resume":${JSON.stringify(resume)}}`)]);
};

/** Takes the checkpoints out of the whole events of a stream, and holds back what none has followed yet. */
export class CheckpointFilter {
  readonly #tokens: number[];
  #held: Buffer[] = [];
  #identity: Pick<StreamResume, 'id' | 'created'> | undefined;

  constructor(resumed?: StreamResume) {
    this.#tokens = [...(resumed?.tokens ?? [])];
    this.#identity = resumed;
  }

  /** What another neuron needs to go on from the last checkpoint; undefined before the first. */
  get resume(): StreamResume | undefined {
    return this.#identity && { id: this.#identity.id, created: this.#identity.created, tokens: [...this.#tokens] };
  }

  get heldBytes(): number {
    return this.#held.reduce((sum, { length }) => sum + length, 0);
  }

  /** Events that may leave now, because a checkpoint came after them. */
  push(events: Buffer): Buffer | undefined {
    let at = checkpointIn(events, 0);
    if (at < 0) {
      this.#held.push(events);
      return undefined;
    }
    const out: Buffer[] = this.#held;
    this.#held = [];
    let from = 0;
    for (; at >= 0; at = from < events.length ? checkpointIn(events, from) : -1) {
      if (at > from) out.push(events.subarray(from, at));
      this.#identity ??= identityOf(out);
      from = this.#readTokens(events, at + head.length);
    }
    if (from < events.length) this.#held.push(events.subarray(from));
    return out.length === 0 ? undefined : out.length === 1 ? out[0] : Buffer.concat(out);
  }

  /** Reads the numbers of a checkpoint; returns where the next event begins. */
  #readTokens(events: Buffer, from: number): number {
    let at = from;
    let token = -1;
    for (; at < events.length && events[at] !== lineFeed; at++) {
      const digit = (events[at] as number) - zero;
      if (digit >= 0 && digit <= 9) token = Math.max(0, token) * 10 + digit;
      else if (token >= 0) {
        this.#tokens.push(token);
        token = -1;
      }
    }
    if (token >= 0) this.#tokens.push(token);
    return at + 2;
  }

  /** What no checkpoint came after: the end of a stream that ended properly. */
  rest(): Buffer {
    const rest = Buffer.concat(this.#held);
    this.#held = [];
    return rest;
  }
}

/** Index of the next checkpoint: the same words inside of an event do not stand at the beginning of a line. */
const checkpointIn = (events: Buffer, from: number): number => {
  let at = events.indexOf(headBytes, from);
  while (at > 0 && events[at - 1] !== lineFeed) at = events.indexOf(headBytes, at + 1);
  return at;
};

const identitySchema = z.looseObject({ id: z.string(), created: z.int() });

/** A stream whose first event says no id cannot go on elsewhere. */
const identityOf = (events: readonly Buffer[]): Pick<StreamResume, 'id' | 'created'> | undefined => {
  const data = /^data: ?(\{.*)$/m.exec(Buffer.concat(events).toString())?.[1];
  if (data === undefined) return undefined;
  try {
    const known = identitySchema.safeParse(JSON.parse(data)).data;
    // Kept as long as the stream lives: the rest of the event is not.
    return known && { id: known.id, created: known.created };
  } catch {
    return undefined;
  }
};
