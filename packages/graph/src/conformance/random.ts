import { seededRandom } from '@helexa/core/testing';

/** Numbers that are the same on every machine: a stream per name, so that a value does not depend on what was drawn before. */
export function randomStream(name: string): () => number {
  let seed = 2166136261;
  for (let i = 0; i < name.length; i++) seed = Math.imul(seed ^ name.charCodeAt(i), 16777619);
  return seededRandom(seed);
}

/** `count` float32 values that average 0 with a variance of 1, all within [-1.8, 1.8]. */
export function randomValues(name: string, count: number): Float32Array {
  const next = randomStream(name);
  return Float32Array.from({ length: count }, () => (2 * next() - 1) * Math.sqrt(3));
}
