/**
 * Cuts a stream of server-sent events after whole events: what comes out is what went in. A client that decodes chunk by
 * chunk is never shown half an event, and an upstream that dies inside one leaves no broken JSON behind.
 */
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const closingBrace = 0x7d;
const colon = 0x3a;

/** Enough of an event to tell how it ends a stream. */
const headBytes = 64;
const endMark = /^(?:[\r\n]*)data: ?\[DONE\]/;
const errorMark = /^(?:[\r\n]*)(?:event: ?error\r?\n)?data: ?\{\s*"error"/;

const dataOfObject = Buffer.from('data: {"');
const firstOfError = 0x65;

/** Most events by far: an object whose first key does not begin as that of an error does, or a comment of one line. */
const isOrdinary = (event: Buffer): boolean => {
  if (event[0] === colon) return event.indexOf(lineFeed) === event.length - 2;
  for (let index = 0; index < dataOfObject.length; index++) if (event[index] !== dataOfObject[index]) return false;
  return event[dataOfObject.length] !== firstOfError && endsInBrace(event);
};

/** How a stream ended as far as its events tell: `open` when none of them ended it. */
export type StreamEnding = 'open' | 'done' | 'error';

export class EventSplitter {
  /** The event that is not yet whole. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** True after a line break: one more ends the event. */
  #atLineStart = true;
  #afterReturn = false;
  #ending: StreamEnding = 'open';
  #isBroken = false;

  /** True when an event has come whose data is not JSON. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  get ending(): StreamEnding {
    return this.#ending;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The whole events up to the last one that this chunk completes, as one run of bytes; undefined when it completes none. */
  push(chunk: Buffer): Buffer | undefined {
    let end = 0;
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index];
      const isSecondHalf = byte === lineFeed && this.#afterReturn;
      this.#afterReturn = byte === carriageReturn;
      if (isSecondHalf) {
        // The return before it may have ended an event: then this byte is still a part of that one.
        if (end === index && (index > 0 || this.#heldBytes === 0)) end = index + 1;
      } else if (byte !== lineFeed && byte !== carriageReturn) {
        this.#atLineStart = false;
      } else if (this.#atLineStart) {
        this.#note(chunk.subarray(end, index + 1), end === 0);
        end = index + 1;
      } else this.#atLineStart = true;
    }
    const held = end > 0 ? this.#held : [];
    if (end > 0) {
      this.#held = [];
      this.#heldBytes = 0;
    }
    if (end < chunk.length) {
      this.#held.push(chunk.subarray(end));
      this.#heldBytes += chunk.length - end;
    }
    if (end === 0) return undefined;
    return held.length === 0 ? chunk.subarray(0, end) : Buffer.concat([...held, chunk.subarray(0, end)]);
  }

  /** Remembers what this event says of the stream; the first of a chunk begins in what is held. */
  #note(tail: Buffer, isFirst: boolean): void {
    if (isOrdinary(tail) && (!isFirst || this.#heldBytes === 0)) return;
    const parts = isFirst ? [...this.#held, tail] : [tail];
    let head = '';
    for (const part of parts) {
      head += part.toString('latin1', 0, headBytes - head.length);
      if (head.length >= headBytes) break;
    }
    if (endMark.test(head)) this.#ending = 'done';
    else {
      if (errorMark.test(head)) this.#ending = 'error';
      this.#isBroken ||= !(head.startsWith('data: {') && endsInBrace(tail)) && !isReadable(Buffer.concat(parts));
    }
  }
}

/** Whether a line ends an object; what came in several chunks may have its end in an earlier one. */
const endsInBrace = (event: Buffer): boolean => {
  let end = event.length - 1;
  while (end > 0 && (event[end] === lineFeed || event[end] === carriageReturn)) end -= 1;
  return event[end] === closingBrace;
};

/** Whether the data of an event can be read; comments and empty events have none. */
const isReadable = (event: Buffer): boolean => {
  const lines = event.toString().split(/\r\n|\r|\n/);
  const data = lines.flatMap((line) => /^data(?:: ?(.*))?$/.exec(line)?.[1] ?? []).join('\n');
  if (data.trim() === '') return true;
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
};
