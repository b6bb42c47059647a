import type { Comparison } from './compare-logits.js';

export type ParityVerdict = 'ok' | 'FAIL' | 'refused' | 'skipped';

/** One line of the report. */
export interface ParityLine {
  readonly model: string;
  /** Device, instruction set and rank count. */
  readonly setting: string;
  readonly case: string;
  readonly mode: string;
  readonly verdict: ParityVerdict;
  readonly text: string;
  readonly figures?: Comparison;
  /** Of a refused rank count: those that are said to work. */
  readonly works?: readonly number[];
}
