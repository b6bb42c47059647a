import { CortexError } from '../errors/cortex-error.js';
import { nearestOf } from '../text/nearest.js';
import type { WeightFormat } from './checkpoint.js';

/** Formats that weights may be quantised to as they are loaded. */
export type QuantFormat = Extract<WeightFormat, 'Q4_0' | 'Q8_0' | 'Q4_K' | 'Q5_K' | 'Q6_K'>;

/** Names in the order they are listed. */
const formatOf: ReadonlyMap<string, QuantFormat> = new Map([
  ['q4_0', 'Q4_0'],
  ['q4k', 'Q4_K'],
  ['q5k', 'Q5_K'],
  ['q6k', 'Q6_K'],
  ['q8_0', 'Q8_0'],
]);

const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/gu, '');

/** The format of a name as people write it: case and underscores do not count, and `q4_k_m` is `q4k`. */
export function parseQuant(name: string): QuantFormat {
  const wanted = plain(name).replace(/^(q\dk)[sml]$/u, '$1');
  for (const [known, format] of formatOf) if (plain(known) === wanted) return format;
  const known = [...formatOf.keys()];
  const nearest = nearestOf(name, known);
  throw new CortexError('quant_unknown', { name, known, ...(nearest === undefined ? {} : { nearest }) });
}
