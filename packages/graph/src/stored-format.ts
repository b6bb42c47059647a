import type { QuantFormat, WeightFormat } from '@helexa/core';
import type { WeightRow } from './weights.js';

const floats: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16']);

/**
 * How a device keeps what a checkpoint has in `format`, when the model is quantised to `quant` as it is loaded: matrices of
 * floats change, but not what is looked up row by row, nor what a row of the table keeps exact.
 */
export function storedFormat(
  row: Pick<WeightRow, 'cols' | 'lookup' | 'exact'>,
  format: WeightFormat,
  quant: QuantFormat | null,
): WeightFormat {
  const isKept = row.cols === null || row.lookup === true || row.exact === true || !floats.has(format);
  return quant === null || isKept ? format : quant;
}
