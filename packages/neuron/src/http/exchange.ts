import type { IncomingMessage, ServerResponse } from 'node:http';
import { bodyError, CortexError, toOpenAiError } from '@helexa/core';
import type { Logger } from 'pino';
import type { z } from 'zod';

/** One request and its response, with what every handler needs. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Fires when the client has gone before its answer ended. */
  readonly signal: AbortSignal;
  /** Path parameters, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly log: Logger;
}

export function sendJson(
  exchange: Exchange,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(body));
  exchange.response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': bytes.length,
    ...headers,
  });
  exchange.response.end(bytes);
}

/** Answers with the error's OpenAI form and logs it once, with its cause. */
export function sendError(exchange: Exchange, error: unknown): void {
  const { status, body, headers, cause } = toOpenAiError(error, 'neuron');
  logRejection(exchange, status, body.error, cause);
  if (exchange.response.headersSent || exchange.response.destroyed) {
    exchange.response.destroy();
    return;
  }
  // What is left of an unread body would be taken for the next request.
  const isUnread = !exchange.request.complete;
  sendJson(exchange, status, body, { ...headers, ...(isUnread ? { connection: 'close' } : {}) });
}

/** One line per rejection, at the level of whose fault it is. */
export function logRejection(
  exchange: Exchange,
  status: number,
  error: Readonly<Record<string, unknown>>,
  cause: unknown,
): void {
  const line = { status, ...error, ...(status >= 500 ? { err: cause } : {}) };
  if (status >= 500) exchange.log.error(line, 'request failed');
  else exchange.log.warn(line, 'request rejected');
}

/** Reads and validates a JSON body; refuses one that is too large before reading all of it. */
export async function readBody<Schema extends z.ZodType>(
  exchange: Exchange,
  schema: Schema,
  limitBytes: number,
): Promise<z.output<Schema>> {
  const { headers } = exchange.request;
  const mediaType = (headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (mediaType !== 'application/json') {
    throw new CortexError('unsupported_media_type', { mediaType: mediaType || 'none', wanted: 'application/json' });
  }
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw new CortexError('unsupported_encoding', { encoding });
  const parsed = schema.safeParse(parseJson(await readBytes(exchange, limitBytes)));
  if (parsed.success) return parsed.data;
  throw bodyError(parsed.error.issues);
}

async function readBytes({ request }: Exchange, limitBytes: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes)
    throw new CortexError('body_too_large', { limitBytes });
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limitBytes) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw new CortexError(
      'request_cancelled',
      { reason: 'the client went away while it sent its body' },
      { cause: error },
    );
  }
  if (size > limitBytes) throw new CortexError('body_too_large', { limitBytes });
  return Buffer.concat(chunks);
}

function parseJson(bytes: Buffer): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new CortexError('malformed_json', { reason: 'it is not valid UTF-8' }, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = text.trim() === '' ? 'it is empty' : 'it is not valid JSON';
    throw new CortexError('malformed_json', { reason }, { cause: error });
  }
}
