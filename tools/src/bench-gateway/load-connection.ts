import { connect, type Socket } from 'node:net';
import { CortexError } from '@helexa/core';

const headEnd = Buffer.from('\r\n\r\n');
const eventMark = Buffer.from('data: ');
/** What ends a chunked answer. */
const lastChunk = '0\r\n\r\n';

const wrong = (reason: string): CortexError => new CortexError('upstream_failed', { node: 'under test', reason });

/** What one read of a stream brought. */
export type OnEvents = (count: number, isLast: boolean) => void;

/** A client that costs as little as can be: one connection, one request at a time. Owner: whoever opened it. */
export class LoadConnection {
  readonly #socket: Socket;
  #onData: (data: Buffer) => void = () => {};
  #onGone: (error: Error) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (data) => this.#onData(data));
    socket.on('error', () => {});
    socket.on('close', () => this.#onGone(wrong('the connection was closed')));
  }

  static open(url: string): Promise<LoadConnection> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new LoadConnection(socket));
      });
    });
  }

  /** Sends a request and waits for the whole answer; milliseconds it took. */
  exchange(request: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      const startedAt = performance.now();
      let head = '';
      let missing = 0;
      this.#onGone = reject;
      this.#onData = (data) => {
        let rest = data.length;
        if (missing === 0) {
          const end = data.indexOf(headEnd);
          head += data.toString('latin1', 0, end < 0 ? data.length : end + 2);
          if (end < 0) return;
          if (!head.startsWith('HTTP/1.1 200')) reject(wrong(`refused: ${head.split('\r\n')[0]}`));
          missing = Number(/^content-length: *(\d+)/im.exec(head)?.[1]);
          if (Number.isNaN(missing)) reject(wrong('an answer of known length is wanted'));
          rest -= end + headEnd.length;
        }
        missing -= rest;
        if (missing === 0) resolve(performance.now() - startedAt);
      };
      this.#socket.write(request);
    });
  }

  /** Sends a request for a stream; tells of every read how many events it brought. Settles with the first of them. */
  stream(request: Buffer, onEvents: OnEvents): Promise<void> {
    return new Promise((resolve, reject) => {
      let tail = '';
      this.#onGone = reject;
      this.#onData = (data) => {
        let count = 0;
        for (let at = data.indexOf(eventMark); at >= 0; at = data.indexOf(eventMark, at + 1)) count += 1;
        if (count > 0) resolve();
        tail = (tail + data.toString('latin1', Math.max(0, data.length - lastChunk.length))).slice(-lastChunk.length);
        onEvents(count, tail === lastChunk);
      };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#onGone = () => {};
    this.#socket.destroy();
  }
}
