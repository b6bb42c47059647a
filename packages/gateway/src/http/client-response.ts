import { type IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { sseHeaders } from '@helexa/core';

/** What was promised to the client before there was an answer. */
type Early = 'nothing' | 'a stream' | 'an error';

/** Longer pieces are not worth copying. */
const longestFrame = 16 << 10;
const [carriageReturn, lineFeed] = [0x0d, 0x0a];

/** One chunk of a chunked answer. */
const frameOf = (bytes: Buffer): Buffer => {
  const size = bytes.length.toString(16);
  const frame = Buffer.allocUnsafe(size.length + bytes.length + 4);
  let at = 0;
  for (; at < size.length; at++) frame[at] = size.charCodeAt(at);
  frame[at++] = carriageReturn;
  frame[at++] = lineFeed;
  frame.set(bytes, at);
  at += bytes.length;
  frame[at++] = carriageReturn;
  frame[at] = lineFeed;
  return frame;
};

const frameOfText = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

/**
 * A response that can be opened as a stream before it is known who answers, so that a client that waits for a model hears
 * something. To whoever answers later it looks as if nothing had been sent: a stream goes on in it, and an answer in one piece,
 * which can then only be an error, becomes its last event.
 */
export class ClientResponse extends ServerResponse<IncomingMessage> {
  #early: Early = 'nothing';
  #isAnswered = false;
  #hasHead = false;
  #hasWritten = false;
  #pieces: Buffer[] = [];
  /** Headers that every answer to this request has; what an answer says of the same name goes before them. */
  readonly always: Record<string, string> = {};
  /** How an error is said in the stream that has been opened; as an event of its own when absent. */
  sayError: ((body: unknown) => string) | undefined;

  constructor(request: IncomingMessage, options?: object) {
    // Node hands its own options on; the types know the first argument only.
    super(...([request, options] as unknown as [IncomingMessage]));
  }

  // The types know it as a plain property, which a getter of the class may not replace.
  static {
    Object.defineProperty(ClientResponse.prototype, 'headersSent', {
      get(this: ClientResponse): boolean {
        return this.#early === 'nothing' ? this.#hasHead : this.#isAnswered;
      },
    });
  }

  /** Opens the stream, and says something in it that means nothing to a client; no more once an answer has begun. */
  keepAlive(text: string): void {
    if (this.#isAnswered || this.destroyed || this.writableEnded) return;
    if (this.#early === 'nothing') {
      super.writeHead(200, { ...this.always, ...sseHeaders });
      this.#early = 'a stream';
    }
    if (!this.writableNeedDrain) super.write(text);
  }

  /** Names and values in turn: node takes them as they are. */
  #headersWith(own: OutgoingHttpHeaders | undefined): OutgoingHttpHeader[] {
    const list: OutgoingHttpHeader[] = [];
    for (const name in this.always) if (own?.[name] === undefined) list.push(name, this.always[name] as string);
    for (const name in own) {
      const value = own[name];
      if (value !== undefined) list.push(name, value);
    }
    return list;
  }

  override writeHead(status: number, ...rest: unknown[]): this {
    if (this.#early === 'nothing') {
      super.writeHead(status, this.#headersWith(rest.at(-1) as OutgoingHttpHeaders | undefined));
      this.#hasHead = true;
      return this;
    }
    const headers = Object.entries((rest.at(-1) ?? {}) as Record<string, unknown>);
    const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1];
    const isStream = status === 200 && /^text\/event-stream\b/i.test(String(type ?? ''));
    if (!isStream) this.#early = 'an error';
    this.#isAnswered = true;
    // The headers have gone: what one of them would tell is a comment.
    const timing = headers.find(([name]) => name === 'server-timing')?.[1];
    if (isStream && timing !== undefined) super.write(`: server-timing ${String(timing)}\n\n`);
    return this;
  }

  override write(chunk: unknown, ...rest: unknown[]): boolean {
    if (this.#early !== 'an error') {
      if (rest.length === 0) {
        if (this.#hasWritten) return this.#writeFramed(chunk as Buffer | string);
        if (this.#hasHead && this.chunkedEncoding && this.socket) return this.#writeFirst(chunk as Buffer | string);
      }
      this.#hasWritten = true;
      return super.write(chunk, ...(rest as never[]));
    }
    this.#pieces.push(Buffer.from(chunk as Buffer));
    return true;
  }

  /**
   * Writes a piece of a chunked answer as one piece of the connection; node would write its size, its bytes and a line break one by
   * one, and a turn of the event loop later. The head of the answer has gone before.
   */
  #writeFramed(chunk: Buffer | string): boolean {
    const { socket } = this;
    // Without a connection of its own yet, or when it is over, the answer is node's to keep.
    const isDirect = this.chunkedEncoding && socket?.writable && this.writableLength === socket.writableLength;
    if (!isDirect || this.writableEnded || chunk.length === 0 || chunk.length > longestFrame) return super.write(chunk);
    if (socket.write(typeof chunk === 'string' ? frameOfText(chunk) : frameOf(chunk))) return true;
    // Nothing of nothing: it makes this response wait for the connection, and tell when that takes more.
    return super.write('');
  }

  /** Sends the head and the first piece at once. */
  #writeFirst(chunk: Buffer | string): boolean {
    const { socket } = this;
    this.#hasWritten = true;
    socket?.cork();
    super.flushHeaders();
    const takesMore = this.#writeFramed(chunk);
    socket?.uncork();
    return takesMore;
  }

  override end(...given: unknown[]): this {
    if (this.#early !== 'an error') return super.end(...(given as never[]));
    const [last] = given as (Buffer | string | undefined)[];
    if (last !== undefined) this.#pieces.push(Buffer.from(last as Buffer));
    const text = Buffer.concat(this.#pieces).toString();
    if (this.sayError) return super.end(...([this.sayError(JSON.parse(text))] as never[]));
    // JSON in one line: no line of it can end the event.
    const data = text.replaceAll('\n', ' ');
    const name = data.startsWith('{"type":"error"') ? 'event: error\n' : '';
    return super.end(...([`${name}data: ${data}\n\n`] as never[]));
  }
}
