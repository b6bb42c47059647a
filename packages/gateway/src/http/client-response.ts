import { type IncomingMessage, ServerResponse } from 'node:http';
import { sseHeaders } from '@helexa/core';

/** What was promised to the client before there was an answer. */
type Early = 'nothing' | 'a stream' | 'an error';

/**
 * A response that can be opened as a stream before it is known who answers, so that a client that waits for a model hears
 * something. To whoever answers later it looks as if nothing had been sent: a stream goes on in it, and an answer in one piece,
 * which can then only be an error, becomes its last event.
 */
export class ClientResponse extends ServerResponse<IncomingMessage> {
  #early: Early = 'nothing';
  #isAnswered = false;
  #pieces: Buffer[] = [];
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
        return (
          (this.#early === 'nothing' || this.#isAnswered) &&
          Boolean(Reflect.get(ServerResponse.prototype, 'headersSent', this))
        );
      },
    });
  }

  /** Opens the stream, and says something in it that means nothing to a client; no more once an answer has begun. */
  keepAlive(text: string): void {
    if (this.#isAnswered || this.destroyed || this.writableEnded) return;
    if (this.#early === 'nothing') {
      super.writeHead(200, { ...sseHeaders });
      this.#early = 'a stream';
    }
    if (!this.writableNeedDrain) super.write(text);
  }

  override writeHead(status: number, ...rest: unknown[]): this {
    if (this.#early === 'nothing') return super.writeHead(status, ...(rest as never[]));
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
    if (this.#early !== 'an error') return super.write(chunk, ...(rest as never[]));
    this.#pieces.push(Buffer.from(chunk as Buffer));
    return true;
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
