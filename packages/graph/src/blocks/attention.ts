import type { Builder, Rotary } from '../builder.js';
import type { Value } from '../value.js';
import { optionalWeight } from './optional-weight.js';

export interface AttentionOptions {
  readonly rotary: Rotary;
  readonly eps: number;
  /** Last tokens that a row attends to; absent: all. */
  readonly window?: number;
  /** What attention gives is multiplied by the sigmoid of a fourth segment of `qkv`. */
  readonly outputGate?: boolean;
}

/**
 * Grouped-query attention of the current layer: slots `qkv` (segments q, k, v, with an output gate also gate) and `attnOut`,
 * with `qkvBias`, `attnOutBias`, `qNorm` and `kNorm` where the table has them.
 */
export function attentionBlock(b: Builder, x: Value, { rotary, eps, window, outputGate }: AttentionOptions): Value {
  const { headDim } = rotary;
  const inverseFrequency = b.weight('inverseFrequency');
  const qkv = b.linear(x, b.weight('qkv'), optionalWeight(b, 'qkvBias')); // [rows, q + k + v]
  const rotate = (segment: number, norm: string): Value => {
    const heads = b.segment(qkv, segment);
    const normed = b.has(norm) ? b.headNorm(heads, b.weight(norm), headDim, eps) : heads;
    return b.rope(normed, inverseFrequency, rotary);
  };
  const q = rotate(0, 'qNorm');
  const k = rotate(1, 'kNorm');
  const options = { headDim, scale: headDim ** -0.5, ...(window === undefined ? {} : { window }) };
  const mixed = b.attention(q, k, b.segment(qkv, 2), options);
  const gated = outputGate ? b.sigmoidMul(mixed, b.segment(qkv, 3)) : mixed;
  return b.linear(gated, b.weight('attnOut'), optionalWeight(b, 'attnOutBias'));
}
