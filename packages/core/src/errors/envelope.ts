import { type ErrorCode, type ErrorRow, type ErrorType, errorRow } from './catalogue.js';
import { CortexError } from './cortex-error.js';

/** Which daemon made the error: a client behind a gateway sees both. */
export type ErrorSource = 'gateway' | 'neuron';

/** What goes into the `error` key of an OpenAI error body. */
export interface OpenAiErrorFields {
  readonly message: string;
  readonly type: ErrorType;
  readonly code: string;
  readonly param: string | null;
  readonly src: ErrorSource;
  readonly suggestion?: string;
  readonly [extra: string]: unknown;
}

export interface OpenAiErrorBody {
  readonly error: OpenAiErrorFields;
}

export interface AnthropicErrorBody {
  readonly type: 'error';
  readonly error: { readonly type: string; readonly message: string };
}

/** An error as it leaves over HTTP; `cause` is for the log and never part of the body. */
export interface HttpError<Body> {
  readonly status: number;
  readonly body: Body;
  readonly headers: Record<string, string>;
  readonly cause: unknown;
}

/** SDKs retry these statuses by themselves unless they are told not to. */
const retriedWithoutAsking = new Set([408, 409, 429]);

/** Longest wait that every SDK honours: some ignore more, some sleep through it. */
const longestRetryAfterSeconds = 60;

/** A catalogue error, whatever was thrown; the text of an unexpected error does not leave the process. */
const expected = (error: unknown, source: ErrorSource): CortexError =>
  CortexError.isInstance(error)
    ? error
    : new CortexError('internal_error', { reason: `an unexpected failure inside the ${source}` }, { cause: error });

/** The row of an error; a plugin's newer copy of this package may know codes that this one does not. */
const rowOf = (error: CortexError): Partial<ErrorRow<never>> =>
  (errorRow(error.code as ErrorCode) as ErrorRow<never> | undefined) ?? {};

const typeByStatus = (status: number): ErrorType => {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'api_error';
};

const headersOf = (error: CortexError, row: Partial<ErrorRow<never>>): Record<string, string> => {
  const headers: Record<string, string> = { ...row.headers?.(error.details as never) };
  const seconds = row.retryAfterSeconds?.(error.details as never);
  if (seconds !== undefined) {
    headers['retry-after'] = String(Math.min(longestRetryAfterSeconds, Math.max(1, Math.ceil(seconds))));
  } else if (retriedWithoutAsking.has(error.status)) {
    headers['x-should-retry'] = 'false';
  }
  return headers;
};

/** The OpenAI form of any error: status, body and headers. */
export const toOpenAiError = (error: unknown, source: ErrorSource): HttpError<OpenAiErrorBody> => {
  const known = expected(error, source);
  const row = rowOf(known);
  const details = known.details as never;
  return {
    status: known.status,
    body: {
      error: {
        ...row.wire?.(details),
        message: known.message,
        type: row.type ?? typeByStatus(known.status),
        code: row.wireCode ?? known.code,
        param: row.param?.(details) ?? null,
        src: source,
        ...(known.suggestion === undefined ? {} : { suggestion: known.suggestion }),
      },
    },
    headers: headersOf(known, row),
    cause: error,
  };
};

/** Type of an Anthropic error with this status. */
export const anthropicErrorType = (status: number): string => {
  switch (status) {
    case 401:
      return 'authentication_error';
    case 403:
      return 'permission_error';
    case 404:
      return 'not_found_error';
    case 413:
      return 'request_too_large';
    case 429:
      return 'rate_limit_error';
    case 503:
      return 'overloaded_error';
    default:
      return status < 500 ? 'invalid_request_error' : 'api_error';
  }
};

/** The Anthropic form of any error. */
export const toAnthropicError = (error: unknown, source: ErrorSource): HttpError<AnthropicErrorBody> => {
  const known = expected(error, source);
  return {
    status: known.status,
    body: { type: 'error', error: { type: anthropicErrorType(known.status), message: known.message } },
    headers: headersOf(known, rowOf(known)),
    cause: error,
  };
};
