import { anthropicErrorType, type CortexError, toOpenAiError } from '@helexa/core';
import type { Fault } from './answer-event.js';

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The fault that an error body of a neuron tells; undefined when the value is no such body. */
export const readFault = (body: unknown): Fault | undefined => {
  if (!isObject(body) || !isObject(body['error'])) return undefined;
  const { message, type, code, ...extra } = body['error'];
  if (typeof message !== 'string') return undefined;
  return {
    message,
    type: typeof type === 'string' ? type : 'api_error',
    code: typeof code === 'string' ? code : 'internal_error',
    extra,
  };
};

/** The same of an error of our own. */
export const faultOf = (error: CortexError): Fault => readFault(toOpenAiError(error, 'gateway').body) as Fault;

const anthropicTypes: ReadonlySet<string> = new Set([
  'invalid_request_error',
  'authentication_error',
  'permission_error',
  'not_found_error',
  'request_too_large',
  'rate_limit_error',
  'api_error',
  'overloaded_error',
]);

/** What clients read to learn that they must shorten a conversation. */
const tooLong = ({ code, extra }: Fault): string | undefined => {
  const { prompt_len: length, max } = extra as { prompt_len?: unknown; max?: unknown };
  const isKnown = code === 'context_length_exceeded' && typeof length === 'number' && typeof max === 'number';
  return isKnown ? `prompt is too long: ${length} tokens > ${max} maximum` : undefined;
};

export interface AnthropicErrorEvent {
  readonly type: 'error';
  readonly error: { readonly type: string; readonly message: string };
  readonly request_id: string;
}

/** Anthropic's form of a fault; inside a stream there is no status, and the fault's own type tells. */
export const anthropicFault = (fault: Fault, status: number | null, requestId: string): AnthropicErrorEvent => ({
  type: 'error',
  error: {
    type: status !== null ? anthropicErrorType(status) : anthropicTypes.has(fault.type) ? fault.type : 'api_error',
    message: tooLong(fault) ?? fault.message,
  },
  request_id: requestId,
});
