import type { KvFormat } from '../backend.js';
import { fromBfloat, fromHalf, toBfloat, toHalf } from '../formats/index.js';
import type { ReferenceCache } from '../op.js';
import { type KvLayer, pageTokens } from '../program.js';

const rounding: Readonly<Record<KvFormat, (value: number) => number>> = {
  F32: Math.fround,
  F16: (value) => fromHalf(toHalf(value)),
  BF16: (value) => fromBfloat(toBfloat(value)),
};

/** The pages of one attention layer, as [page, token, head, headDim]; values are kept as the format rounds them. */
export function referenceCache({ kvHeads, headDim }: KvLayer, pages: number, format: KvFormat): ReferenceCache {
  const elements = pages * pageTokens * kvHeads * headDim;
  return {
    kvHeads,
    headDim,
    format,
    keys: new Float64Array(elements),
    values: new Float64Array(elements),
    at: (page, token, head) => ((page * pageTokens + token) * kvHeads + head) * headDim,
    round: rounding[format],
  };
}
