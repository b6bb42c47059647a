import { blockOf, type Checkpoint, type WeightFormat } from '@helexa/core';
import type { KvFormat } from '@helexa/graph';
import type { Comparison } from './compare-logits.js';

/**
 * What a case must hold. Each bound excludes a mutation: a dropped head norm, swapped gate and up, or wrong rotation pairs
 * give a cosine below 0.99; one mis-sliced row of a fused weight gives a difference above 0.01.
 */
export interface Tolerance {
  readonly maxDifference: number;
  readonly cosine: number;
  readonly argmaxAgreement: number;
  readonly greedyAgreement: number;
}

/** Bounds of a model by how its weights and its cache are stored; `isLongest`: the case with the most positions. */
export function toleranceOf(checkpoint: Checkpoint, kv: KvFormat, isLongest: boolean): Tolerance {
  if (isQuantised(checkpoint)) {
    return {
      maxDifference: Number.POSITIVE_INFINITY,
      cosine: hasExperts(checkpoint) ? 0.998 : 0.9995,
      argmaxAgreement: isLongest ? 0.9 : 0,
      greedyAgreement: 0,
    };
  }
  if (kv !== 'F32') {
    return { maxDifference: Number.POSITIVE_INFINITY, cosine: 0.99999, argmaxAgreement: 0, greedyAgreement: 0 };
  }
  return { maxDifference: 2e-3, cosine: 0.999999, argmaxAgreement: 0, greedyAgreement: 1 };
}

/** True when every bound is held; a comparison that is not a number holds none. */
export function isWithin(comparison: Comparison, tolerance: Tolerance): boolean {
  return (
    comparison.maxDifference <= tolerance.maxDifference &&
    comparison.cosine >= tolerance.cosine &&
    comparison.argmaxAgreement >= tolerance.argmaxAgreement &&
    comparison.greedyAgreement >= tolerance.greedyAgreement
  );
}

function isQuantised(checkpoint: Checkpoint): boolean {
  return [...checkpoint.tensors.values()].some(
    ({ format }) => Object.hasOwn(blockOf, format) && blockOf[format as WeightFormat].elements > 1,
  );
}

function hasExperts(checkpoint: Checkpoint): boolean {
  const isCount = (key: string, value: unknown) => /expert(?:s|_count)$/.test(key) && Number(value) > 1;
  const config = Object.entries((checkpoint.config ?? {}) as Record<string, unknown>);
  return [...config, ...checkpoint.metadata].some(([key, value]) => isCount(key, value));
}
