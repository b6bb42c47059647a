import { requireConfig } from '../model-config.js';

/** Rotary scaling of a model, parsed. Angles are position times frequency; a scaling changes the frequencies. */
export type RopeScaling =
  | { readonly type: 'default' }
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly originalContext: number;
      readonly attentionFactor: number;
      /** Whether the ramp's ends are rounded to whole dimensions. */
      readonly truncate: boolean;
    };

export interface Rope {
  readonly theta: number;
  /** Share of a head's columns that are rotated: 1 unless a family asks for partial rotation. */
  readonly fraction: number;
  readonly scaling: RopeScaling;
}

/** Both spellings that config.json knows: flat `rope_theta` with `rope_scaling`, or `rope_parameters`. */
export interface RopeFields {
  readonly rope_theta?: number | undefined;
  readonly partial_rotary_factor?: number | undefined;
  readonly rope_scaling?: Readonly<Record<string, unknown>> | null | undefined;
  readonly rope_parameters?: Readonly<Record<string, unknown>> | null | undefined;
  readonly max_position_embeddings: number;
}

/** Reads the rotary settings of a config; refuses by name what no frequency table here can express. */
export function parseRope(config: RopeFields, file: string, options: { readonly partial?: boolean } = {}): Rope {
  const [field, given] = config.rope_parameters
    ? (['rope_parameters', config.rope_parameters] as const)
    : (['rope_scaling', config.rope_scaling ?? {}] as const);
  const number = (key: string, otherwise?: number): number => {
    const value = given[key] ?? otherwise;
    requireConfig(
      typeof value === 'number' && Number.isFinite(value) && value > 0,
      file,
      `'${field}.${key}' is ${JSON.stringify(value) ?? 'missing'}; a positive number is wanted`,
    );
    return value;
  };
  const theta = number('rope_theta', config.rope_theta ?? 10_000);
  const fraction = number('partial_rotary_factor', config.partial_rotary_factor ?? 1);
  const wanted = options.partial ? 'at most 1 is wanted' : 'only 1 is supported';
  requireConfig(
    fraction === 1 || (options.partial === true && fraction < 1),
    file,
    `'${field}.partial_rotary_factor' is ${fraction}; ${wanted}`,
  );
  const type = (given['rope_type'] ?? given['type'] ?? 'default') as RopeScaling['type'];
  switch (type) {
    case 'default':
      return { theta, fraction, scaling: { type } };
    case 'linear':
      return { theta, fraction, scaling: { type, factor: number('factor') } };
    case 'llama3':
      return {
        theta,
        fraction,
        scaling: {
          type,
          factor: number('factor'),
          lowFrequencyFactor: number('low_freq_factor', 1),
          highFrequencyFactor: number('high_freq_factor', 4),
          originalContext: number('original_max_position_embeddings', 8192),
        },
      };
    case 'yarn': {
      const factor = number('factor');
      return {
        theta,
        fraction,
        scaling: {
          type,
          factor,
          betaFast: number('beta_fast', 32),
          betaSlow: number('beta_slow', 1),
          originalContext: number('original_max_position_embeddings', config.max_position_embeddings),
          attentionFactor: number('attention_factor', yarnAttention(given, factor)),
          truncate: given['truncate'] !== false,
        },
      };
    }
    default:
      requireConfig(
        false,
        file,
        `'${field}.rope_type' is ${JSON.stringify(type)}; supported are 'default', 'linear', 'llama3', 'yarn'`,
      );
  }
}

function yarnAttention(given: Readonly<Record<string, unknown>>, factor: number): number {
  const magnitude = (scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const { mscale, mscale_all_dim: allDim } = given;
  if (typeof mscale === 'number' && typeof allDim === 'number' && mscale !== 0 && allDim !== 0)
    return magnitude(mscale) / magnitude(allDim);
  return magnitude(1);
}

/** What cosines and sines are multiplied by. */
export const attentionFactorOf = ({ scaling }: Rope): number => (scaling.type === 'yarn' ? scaling.attentionFactor : 1);

const f32 = Math.fround;

/**
 * Frequency of each rotated pair, `[rotaryDim / 2]`, every step rounded to float32 as the reference does it. `factors` of a
 * checkpoint (llama3 scaling baked into a file) divide it.
 */
export function inverseFrequencies(rope: Rope, rotaryDim: number, factors: Float32Array | null): Float32Array {
  const plain = Float32Array.from({ length: rotaryDim / 2 }, (_, index) =>
    f32(1 / f32(rope.theta ** f32((2 * index) / rotaryDim))),
  );
  const scaled = scaleFrequencies(plain, rope, rotaryDim);
  return factors === null ? scaled : scaled.map((frequency, index) => f32(frequency / factors[index]!));
}

function scaleFrequencies(plain: Float32Array, { theta, scaling }: Rope, rotaryDim: number): Float32Array {
  switch (scaling.type) {
    case 'default':
      return plain;
    case 'linear':
      return plain.map((frequency) => f32(frequency / scaling.factor));
    case 'llama3': {
      const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
      return plain.map((frequency) => {
        const wavelength = f32((2 * Math.PI) / frequency);
        if (wavelength < originalContext / high) return frequency;
        if (wavelength > originalContext / low) return f32(frequency / factor);
        const smooth = f32(f32(f32(originalContext / wavelength) - low) / (high - low));
        return f32(f32(f32(f32(1 - smooth) * frequency) / factor) + f32(smooth * frequency));
      });
    }
    case 'yarn': {
      const { factor, betaFast, betaSlow, originalContext, truncate } = scaling;
      const turnsAt = (rotations: number): number =>
        (rotaryDim * Math.log(originalContext / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
      const from = Math.max(truncate ? Math.floor(turnsAt(betaFast)) : turnsAt(betaFast), 0);
      const upTo = Math.min(truncate ? Math.ceil(turnsAt(betaSlow)) : turnsAt(betaSlow), rotaryDim - 1);
      // A ramp of no length would divide by zero; the reference widens it by a thousandth.
      const length = from === upTo ? 0.001 : upTo - from;
      return plain.map((frequency, index) => {
        const ramp = f32(Math.min(Math.max(f32(f32(index - from) / length), 0), 1));
        const interpolated = f32(1 / f32(factor * f32(1 / frequency)));
        return f32(f32(interpolated * ramp) + f32(frequency * f32(1 - ramp)));
      });
    }
  }
}
