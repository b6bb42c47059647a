/** Where an attempt puts an answer: the response itself, or what says it in another dialect on the way there. */
export interface AnswerSink {
  /** True as soon as the client was promised something: from then on no other node can answer. */
  readonly headersSent: boolean;
  writeHead(status: number, headers: Record<string, string | string[]>): unknown;
  /** False when the client does not take more for now; `drain` tells when it does. Bytes of a stream are whole events. */
  write(bytes: Buffer): boolean;
  once(event: 'drain', listener: () => void): unknown;
  end(bytes?: Buffer | string): unknown;
  /** Breaks the connection: the only way to say that an answer in one piece is not whole. */
  destroy(): unknown;
}
