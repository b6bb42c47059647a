import type { ReferenceContext } from '../op.js';
import { type DeltaToken, deltaToken, valueHeadsOf } from './gated-delta.js';
import { sequencesOf } from './sequences.js';

/** Tokens of a chunk; chunks begin at multiples of it in their sequence. */
export const deltaChunkTokens = 64;

/**
 * The gated delta rule a chunk at a time, as devices with matrix units compute it: equal to the op's own reference but for
 * rounding, which `round` is applied to every result for (`Math.fround`: in float32). With G_i the sum of g up to row i of a
 * chunk, K and Q its unit keys and scaled queries, V its values and S the state before it:
 *
 *   A_ij = beta_i (k_i . k_j) exp(G_i - G_j) below the diagonal;   (I + A) U = beta V;   (I + A) W = beta exp(G) K
 *   N = U - W S;   y_i = exp(G_i) q_i S + sum over j <= i of (q_i . k_j) exp(G_i - G_j) N_j
 *   S = exp(G_last) S + sum over j of exp(G_last - G_j) k_j N_j^T
 *
 * U and W come by forward substitution: the powers of A, whose alternating sum is the same inverse, grow to 1e17 where keys are
 * alike. A step that ends inside a chunk makes two of it, so that only steps that end at multiples of 64 give equal bits.
 */
export const chunkedGatedDelta =
  (round: (value: number) => number = (value) => value) =>
  (context: ReferenceContext): void => {
    const state = context.state(context.param('layer'));
    const size = context.param('keyDim') * context.param('valueDim');
    for (const { slot, row, rows, length } of sequencesOf(context.step)) {
      const base = slot * state.deltaElements;
      const start = length - rows;
      if (start === 0) state.delta.fill(0, base, base + state.deltaElements);
      for (let done = 0; done < rows; ) {
        const count = Math.min(rows - done, deltaChunkTokens - ((start + done) % deltaChunkTokens));
        for (let head = 0; head < valueHeadsOf(context); head++) {
          const s = state.delta.subarray(base + head * size, base + (head + 1) * size);
          advanceChunk(context, s, { row: row + done, count, head }, round);
        }
        done += count;
      }
    }
  };

interface Chunk {
  readonly row: number;
  readonly count: number;
  readonly head: number;
}

function advanceChunk(
  context: ReferenceContext,
  s: Float64Array,
  { row, count, head }: Chunk,
  round: (value: number) => number,
): void {
  const y = context.output('y');
  const [keyDim, valueDim] = [context.param('keyDim'), context.param('valueDim')];
  const tokens = Array.from({ length: count }, (_, i) => rounded(deltaToken(context, row + i, head), round));
  let sum = 0;
  const sums = tokens.map(({ g }) => (sum = round(sum + g)));
  const fade = (i: number, j: number): number => round(Math.exp(round(sums[i]! - sums[j]!)));
  const u: Float64Array[] = [];
  const w: Float64Array[] = [];
  for (const [i, { k, v, beta }] of tokens.entries()) {
    const whole = round(beta * round(Math.exp(sums[i]!)));
    const ui = v.map((value) => round(beta * value));
    const wi = k.map((value) => round(whole * value));
    for (let j = 0; j < i; j++) {
      const a = round(round(beta * dot(k, tokens[j]!.k, round)) * fade(i, j));
      for (let c = 0; c < valueDim; c++) ui[c] = round(ui[c]! - round(a * u[j]![c]!));
      for (let d = 0; d < keyDim; d++) wi[d] = round(wi[d]! - round(a * w[j]![d]!));
    }
    u.push(ui);
    w.push(wi);
  }
  const n = u.map((ui, i) => ui.map((value, c) => round(value - read(s, w[i]!, c, valueDim, round))));
  for (const [i, { q }] of tokens.entries()) {
    const whole = round(Math.exp(sums[i]!));
    const seen = Array.from({ length: i + 1 }, (_, j) => round(dot(q, tokens[j]!.k, round) * fade(i, j)));
    for (let c = 0; c < valueDim; c++) {
      let out = round(whole * read(s, q, c, valueDim, round));
      for (const [j, weight] of seen.entries()) out = round(out + round(weight * n[j]![c]!));
      y.data[y.offset + (row + i) * y.stride + head * valueDim + c] = round(out / Math.sqrt(keyDim));
    }
  }
  const last = count - 1;
  const whole = round(Math.exp(sums[last]!));
  for (let d = 0; d < keyDim; d++)
    for (let c = 0; c < valueDim; c++) {
      let value = round(whole * s[d * valueDim + c]!);
      for (const [j, { k }] of tokens.entries()) value = round(value + round(round(fade(last, j) * k[d]!) * n[j]![c]!));
      s[d * valueDim + c] = value;
    }
}

const rounded = ({ q, k, v, g, beta }: DeltaToken, round: (value: number) => number): DeltaToken => ({
  q: q.map(round),
  k: k.map(round),
  v: v.map(round),
  g: round(g),
  beta: round(beta),
});

function dot(a: Float64Array, b: Float64Array, round: (value: number) => number): number {
  let sum = 0;
  for (const [i, value] of a.entries()) sum = round(sum + round(value * b[i]!));
  return sum;
}

/** Column c of vector . S. */
function read(
  s: Float64Array,
  vector: Float64Array,
  c: number,
  width: number,
  round: (value: number) => number,
): number {
  let sum = 0;
  for (const [d, value] of vector.entries()) sum = round(sum + round(value * s[d * width + c]!));
  return sum;
}
