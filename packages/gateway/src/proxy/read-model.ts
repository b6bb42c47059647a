import { CortexError } from '@helexa/core';
import { deepestNesting, readString, walkJson } from './walk-json.js';

/** What the gateway reads of an inference request; everything else is the neuron's. */
export interface RequestHead {
  readonly model: string;
  readonly stream: boolean;
  /** Most tokens that the answer may have, where the request says. */
  readonly outputTokens: number | undefined;
}

/** Names of the limit of an answer, in the order in which they count. */
const outputLimits = ['max_completion_tokens', 'max_output_tokens', 'max_tokens'] as const;

const isOutputLimit = (key: string): boolean => (outputLimits as readonly string[]).includes(key);

const quote = 0x22;
/** A number is as long as this at most; what is longer is none that matters. */
const longestNumber = 32;

/** The limit that a request sets to its answer. */
export const outputTokensOf = (request: object): number | undefined => {
  const fields = request as Partial<Record<(typeof outputLimits)[number], unknown>>;
  const asked = outputLimits.map((name) => fields[name]).find((value) => typeof value === 'number' && value >= 0);
  return typeof asked === 'number' ? Math.ceil(asked) : undefined;
};

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Refuses a value that is nested too deep: its size is bounded already. */
const checkNesting = (value: unknown): void => {
  let level: readonly unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= deepestNesting) {
      throw new CortexError('invalid_request_body', { reason: `it is nested deeper than ${deepestNesting} levels` });
    }
    const next: unknown[] = [];
    for (const each of level) {
      if (typeof each !== 'object' || each === null) continue;
      for (const inner of Array.isArray(each) ? each : Object.values(each)) {
        if (typeof inner === 'object' && inner !== null) next.push(inner);
      }
    }
    level = next;
  }
};

/** The JSON of a body. */
export const parseJsonBody = (body: Buffer): unknown => {
  let text: string;
  try {
    text = utf8.decode(body);
  } catch (error) {
    throw new CortexError('malformed_json', { reason: 'it is not UTF-8' }, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CortexError(
      'malformed_json',
      { reason: body.length === 0 ? 'it is empty' : 'it is not JSON' },
      { cause: error },
    );
  }
  checkNesting(value);
  return value;
};

/** Reads of a body what routes it; of a field that stands there twice the last one counts. */
export const readModel = (body: Buffer): RequestHead => {
  const fields: Record<string, unknown> = {};
  const isObject = walkJson(body, (key, start, end) => {
    if (key === 'model') fields[key] = body[start] === quote ? readString(body, start, end) : undefined;
    else if (key === 'stream') fields[key] = body.toString('latin1', start, end) === 'true';
    else if (isOutputLimit(key))
      fields[key] = Number(body.toString('latin1', start, Math.min(end, start + longestNumber)));
  });
  if (!isObject) {
    throw new CortexError('invalid_request_body', { reason: 'it is not an object; a JSON object is wanted' });
  }
  const { model, stream } = fields;
  if (typeof model !== 'string' || model === '') throw new CortexError('missing_model_field', {});
  return { model, stream: stream === true, outputTokens: outputTokensOf(fields) };
};

/** Refuses a body whose sender says that it is something else than JSON. */
export const checkMediaType = (contentType: string | undefined): void => {
  const mediaType = contentType?.split(';')[0]?.trim().toLowerCase();
  if (mediaType && mediaType !== 'application/json' && !mediaType.endsWith('+json')) {
    throw new CortexError('unsupported_media_type', { mediaType, wanted: 'application/json' });
  }
};
