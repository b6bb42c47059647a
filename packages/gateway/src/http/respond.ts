import type { ServerResponse } from 'node:http';
import { toOpenAiError } from '@helexa/core';
import type { Dialect } from '../translate/dialect.js';
import { anthropicFault, readFault } from '../translate/fault.js';

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

/** An error body of OpenAI's form, in the form that the caller's dialect has. */
export const errorBodyIn = (dialect: Dialect, status: number, body: unknown, requestId: string): unknown => {
  const fault = dialect === 'anthropic' ? readFault(body) : undefined;
  return fault ? anthropicFault(fault, status, requestId) : body;
};

/** Sends an error in the caller's dialect; returns its status. */
export const sendError = (
  response: ServerResponse,
  error: unknown,
  { dialect, requestId }: { readonly dialect: Dialect; readonly requestId: string } = {
    dialect: 'openai',
    requestId: '',
  },
): number => {
  const { status, body, headers } = toOpenAiError(error, 'gateway');
  sendJson(response, status, errorBodyIn(dialect, status, body, requestId), headers);
  return status;
};

/** The error as the one event that ends a stream; no end mark follows it, so nobody takes the answer for whole. */
export const errorEvent = (error: unknown): string =>
  `data: ${JSON.stringify(toOpenAiError(error, 'gateway').body)}\n\n`;
