export interface Comparison {
  /** NaN when any value is. */
  readonly maxDifference: number;
  /** Over all positions at once. */
  readonly cosine: number;
  /** Of the position where it is lowest. */
  readonly worstCosine: number;
  /** Share of positions whose most likely token is the same. */
  readonly argmaxAgreement: number;
  /** Share of greedy tokens before the first that differs. */
  readonly greedyAgreement: number;
}

/** Compares one case's logits, positions times vocabulary, with the expected ones. */
export function compareLogits(
  actual: { readonly logits: Float32Array; readonly greedy: readonly number[] },
  expected: { readonly logits: Float32Array; readonly greedy: readonly number[]; readonly vocab: number },
): Comparison {
  const { vocab } = expected;
  const positions = expected.logits.length / vocab;
  let maxDifference = 0;
  let [dot, norm, expectedNorm] = [0, 0, 0];
  let worstCosine = 1;
  let equalArgmax = 0;
  for (let position = 0; position < positions; position++) {
    const a = actual.logits.subarray(position * vocab, (position + 1) * vocab);
    const b = expected.logits.subarray(position * vocab, (position + 1) * vocab);
    let [d, x, y] = [0, 0, 0];
    for (let i = 0; i < vocab; i++) {
      const difference = Math.abs(a[i]! - b[i]!);
      if (!(difference <= maxDifference) && !Number.isNaN(maxDifference)) maxDifference = difference;
      d += a[i]! * b[i]!;
      x += a[i]! * a[i]!;
      y += b[i]! * b[i]!;
    }
    dot += d;
    norm += x;
    expectedNorm += y;
    worstCosine = Math.min(worstCosine, d / Math.sqrt(x * y));
    if (argmax(a) === argmax(b)) equalArgmax++;
  }
  const differs = expected.greedy.findIndex((token, index) => actual.greedy[index] !== token);
  const same = differs < 0 ? expected.greedy.length : differs;
  return {
    maxDifference,
    cosine: dot / Math.sqrt(norm * expectedNorm),
    worstCosine,
    argmaxAgreement: equalArgmax / positions,
    greedyAgreement: expected.greedy.length === 0 ? 1 : same / expected.greedy.length,
  };
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
