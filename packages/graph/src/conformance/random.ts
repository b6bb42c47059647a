/** Numbers that are the same on every machine: a stream per name, so that a value does not depend on what was drawn before. */
export function randomStream(name: string): () => number {
  let state = 2166136261;
  for (let i = 0; i < name.length; i++) state = Math.imul(state ^ name.charCodeAt(i), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` float32 values that average 0 with a variance of 1, all within [-1.8, 1.8]. */
export function randomValues(name: string, count: number): Float32Array {
  const next = randomStream(name);
  return Float32Array.from({ length: count }, () => (2 * next() - 1) * Math.sqrt(3));
}
