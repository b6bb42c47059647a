import { CortexError } from '@helexa/core';
import type { SamplingParameters } from '../engine/step-writer.js';
import type { ServedModel } from '../model/served-model.js';
import { chooseSampling } from '../text/generation-defaults.js';

/** Fields that chat and plain completions share, as they came. */
export interface SamplingFields {
  readonly temperature?: number | null | undefined;
  readonly top_p?: number | null | undefined;
  readonly top_k?: number | null | undefined;
  readonly min_p?: number | null | undefined;
  readonly repetition_penalty?: number | null | undefined;
  readonly presence_penalty?: number | null | undefined;
  readonly frequency_penalty?: number | null | undefined;
  readonly n?: number | null | undefined;
  readonly stop?: string | readonly string[] | null | undefined;
  readonly seed?: number | null | undefined;
  readonly logit_bias?: Readonly<Record<string, number>> | null | undefined;
}

/** What those fields mean for one model, every value decided. */
export interface SamplingRequest {
  readonly choices: number;
  readonly stops: readonly string[];
  readonly seed: bigint | null;
  readonly sampling: SamplingParameters;
}

const maxChoices = 8;
const maxStops = 16;

/** Refuses a value outside of what it can mean. */
export function refuseUnless(isGood: boolean, param: string, reason: string): void {
  if (!isGood) throw new CortexError('invalid_request_body', { param, reason });
}

/** Refuses a value that has a meaning, which this engine cannot honour. */
export function refuseUnsupported(isUnsupported: boolean, parameter: string, value: unknown, supported: string): void {
  if (isUnsupported)
    throw new CortexError('unsupported_parameter', { parameter, value: JSON.stringify(value), supported });
}

/** Refuses a request for text to a model that makes vectors. */
export function refuseUnlessGenerating({ id, embedding }: ServedModel): void {
  if (embedding) throw new CortexError('wrong_modality', { model: id, reason: 'it makes embeddings, not text' });
}

/** Decides sampling: the request's values, else the model's own, else none; refuses what cannot be honoured. */
export function readSampling(fields: SamplingFields, model: ServedModel, topLogprobs: number | null): SamplingRequest {
  const range = (param: keyof SamplingFields & string, low: number, high: number) => {
    const value = fields[param] as number | null | undefined;
    const isGood = value === null || value === undefined || (value >= low && value <= high);
    refuseUnless(isGood, param, `${value}; a number from ${low} to ${high} is wanted`);
  };
  range('temperature', 0, 100);
  range('top_p', 0, 1);
  range('min_p', 0, 1);
  range('repetition_penalty', 1e-3, 100);
  range('presence_penalty', -2, 2);
  range('frequency_penalty', -2, 2);
  range('top_k', -1, 2 ** 31 - 1);
  const choices = fields.n ?? 1;
  refuseUnless(choices >= 1, 'n', `${choices}; at least 1 is wanted`);
  refuseUnsupported(choices > maxChoices, 'n', choices, `1 to ${maxChoices} choices are`);
  const stops = typeof fields.stop === 'string' ? [fields.stop] : (fields.stop ?? []);
  refuseUnsupported(stops.length > maxStops, 'stop', `${stops.length} strings`, `up to ${maxStops} are`);
  refuseUnless(!stops.includes(''), 'stop', 'an empty string; text is wanted');
  const { maxTopLogprobs } = model.facts;
  refuseUnless(
    topLogprobs === null || (topLogprobs >= 0 && topLogprobs <= maxTopLogprobs),
    'top_logprobs',
    `${topLogprobs}; 0 to ${maxTopLogprobs} are wanted`,
  );

  const requested = {
    temperature: fields.temperature,
    // -1 says "off" in the clients that know this extension.
    topK: fields.top_k === -1 ? 0 : fields.top_k,
    // The nucleus of no mass at all is the likeliest token.
    topP: typeof fields.top_p === 'number' ? Math.max(fields.top_p, 1e-9) : fields.top_p,
    minP: fields.min_p,
    repetitionPenalty: fields.repetition_penalty,
    presencePenalty: fields.presence_penalty,
    frequencyPenalty: fields.frequency_penalty,
  };
  const given = Object.fromEntries(
    Object.entries(requested).filter(([, value]) => value !== null && value !== undefined),
  );
  return {
    choices,
    stops,
    seed: typeof fields.seed === 'number' ? BigInt.asUintN(64, BigInt(fields.seed)) : null,
    sampling: { ...chooseSampling(given, model.samplingDefaults), bias: readBias(fields, model), topLogprobs },
  };
}

function readBias({ logit_bias: bias }: SamplingFields, { facts }: ServedModel): (readonly [number, number])[] {
  const entries = Object.entries(bias ?? {});
  refuseUnsupported(
    entries.length > facts.maxBias,
    'logit_bias',
    `${entries.length} entries`,
    `up to ${facts.maxBias} are`,
  );
  return entries.map(([key, value]) => {
    const token = /^\d+$/.test(key) ? Number(key) : -1;
    refuseUnless(token >= 0 && token < facts.vocab, 'logit_bias', `'${key}' is no token id of this model`);
    refuseUnless(value >= -100 && value <= 100, 'logit_bias', `${value} for '${key}'; -100 to 100 are wanted`);
    return [token, value] as const;
  });
}

/** The output cap: the newer field wins. */
export function readMaxTokens(
  fields: {
    readonly max_completion_tokens?: number | null | undefined;
    readonly max_tokens?: number | null | undefined;
  },
  fallback: number,
): number {
  const param = fields.max_completion_tokens == null ? 'max_tokens' : 'max_completion_tokens';
  const value = fields[param] ?? fallback;
  refuseUnless(value >= 1, param, `${value}; at least 1 is wanted`);
  return value;
}
