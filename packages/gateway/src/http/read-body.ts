import type { IncomingMessage, ServerResponse } from 'node:http';
import { CortexError } from '@helexa/core';
import type { Exchange } from './router.js';

/** After a refusal the client may send this much more, for this long, so that it gets to read why. */
const lingerBytes = 1 << 20;
const lingerMs = 1000;

/** Lets a refused client read the answer, then cuts it off: the rest of its body is never taken. */
const refuseRest = (request: IncomingMessage, response: ServerResponse): void => {
  response.once('finish', () => {
    let surplus = 0;
    const timer = setTimeout(() => request.socket.destroy(), lingerMs);
    const finish = (): void => clearTimeout(timer);
    request.on('data', (chunk: Buffer) => {
      surplus += chunk.length;
      if (surplus > lingerBytes) request.socket.destroy();
    });
    request.once('end', finish);
    request.once('close', finish);
    request.resume();
  });
};

/** The whole body of a request, or the reason not to take it; one that is ended from outside says why. */
export const readBody = (
  { request, response, signal }: Pick<Exchange, 'request' | 'response' | 'signal'>,
  limitBytes: number,
): Promise<Buffer> => {
  const encoding = request.headers['content-encoding'];
  const announced = Number(request.headers['content-length'] ?? 0);
  const problem =
    encoding !== undefined && encoding !== 'identity'
      ? new CortexError('unsupported_encoding', { encoding })
      : announced > limitBytes
        ? new CortexError('body_too_large', { limitBytes })
        : undefined;
  if (problem) {
    refuseRest(request, response);
    return Promise.reject(problem);
  }
  if (request.headers.expect !== undefined) response.writeContinue();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > limitBytes) {
        settle();
        request.pause();
        refuseRest(request, response);
        reject(new CortexError('body_too_large', { limitBytes }));
      } else chunks.push(chunk);
    };
    const onEnd = (): void => {
      settle();
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length));
    };
    const onClose = (): void => {
      settle();
      reject(new CortexError('request_cancelled', { reason: 'the client left before its request was complete' }));
    };
    const onAbort = (): void => {
      // Without a reason of ours the client has left: its connection tells that.
      if (!CortexError.isInstance(signal.reason)) return;
      settle();
      request.pause();
      refuseRest(request, response);
      reject(signal.reason);
    };
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort);
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
    };
    signal.addEventListener('abort', onAbort);
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
};
