import type { ServerResponse } from 'node:http';
import { toOpenAiError } from '@helexa/core';

/** Sends one JSON document. */
export const sendJson = (
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void => {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json; charset=utf-8',
    'content-length': body.length,
  });
  response.end(body);
};

/** Sends an error in OpenAI's form; returns its status. */
export const sendError = (response: ServerResponse, error: unknown): number => {
  const { status, body, headers } = toOpenAiError(error, 'gateway');
  sendJson(response, status, body, headers);
  return status;
};

/** The error as the one event that ends a stream; no end mark follows it, so nobody takes the answer for whole. */
export const errorEvent = (error: unknown): string =>
  `data: ${JSON.stringify(toOpenAiError(error, 'gateway').body)}\n\n`;
