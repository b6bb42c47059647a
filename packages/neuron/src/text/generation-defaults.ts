import { isRecord } from './json.js';

/** Sampling parameters of one request, every one decided. */
export interface SamplingChoice {
  /** 0 or less is greedy. */
  readonly temperature: number;
  /** 0 = off. */
  readonly topK: number;
  /** 1 = off. */
  readonly topP: number;
  /** 0 = off. */
  readonly minP: number;
  /** 1 = off. */
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
}

/** What a model's own generation_config.json says; a knob it does not name is absent. */
export type GenerationDefaults = Partial<SamplingChoice>;

/** Used for a knob that neither the request nor the model names: no truncation, no penalty. */
export const fallbackSampling: SamplingChoice = {
  temperature: 0.7,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
};

const knobs = {
  temperature: { key: 'temperature', valid: (v: number) => v >= 0 },
  topK: { key: 'top_k', valid: (v: number) => Number.isInteger(v) && v >= 0 },
  topP: { key: 'top_p', valid: (v: number) => v > 0 && v <= 1 },
  minP: { key: 'min_p', valid: (v: number) => v >= 0 && v <= 1 },
  repetitionPenalty: { key: 'repetition_penalty', valid: (v: number) => v > 0 },
  presencePenalty: { key: 'presence_penalty', valid: () => true },
  frequencyPenalty: { key: 'frequency_penalty', valid: () => true },
} as const satisfies Record<keyof SamplingChoice, { key: string; valid: (value: number) => boolean }>;

/** Result of reading generation_config.json: the defaults, and a sentence for each value that was not usable. */
export interface ParsedGenerationConfig {
  readonly defaults: GenerationDefaults;
  readonly warnings: readonly string[];
}

/** Reads the sampling knobs of a parsed generation_config.json; a value out of range is left out and told. */
export function parseGenerationConfig(json: unknown): ParsedGenerationConfig {
  if (json === undefined) return { defaults: {}, warnings: [] };
  if (!isRecord(json)) return { defaults: {}, warnings: ['generation_config.json is not an object and is not used'] };
  const defaults: Record<string, number> = {};
  const warnings: string[] = [];
  for (const [knob, { key, valid }] of Object.entries(knobs)) {
    const value = json[key];
    if (value === undefined || value === null) continue;
    if (typeof value === 'number' && Number.isFinite(value) && valid(value)) defaults[knob] = value;
    else warnings.push(`'${key}' of generation_config.json is ${JSON.stringify(value)} and is not used`);
  }
  if (json['do_sample'] === false && defaults['temperature'] === undefined) defaults['temperature'] = 0;
  return { defaults, warnings };
}

/** Decides every knob: the request's value, else the model's, else the fallback. */
export function chooseSampling(request: GenerationDefaults, model: GenerationDefaults): SamplingChoice {
  const choice: Record<string, number> = {};
  for (const knob of Object.keys(knobs) as (keyof SamplingChoice)[]) {
    choice[knob] = request[knob] ?? model[knob] ?? fallbackSampling[knob];
  }
  return choice as unknown as SamplingChoice;
}
