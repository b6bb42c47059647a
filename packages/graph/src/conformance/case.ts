import type { KvFormat } from '../backend.js';
import type { OpName } from '../opcodes.js';
import type { sampling, VisionLimits } from '../step.js';
import type { CaseGraph, CaseWriter } from './case-writer.js';

/** Rows of one sequence in one step. */
export interface CaseSequence {
  readonly slot: number;
  readonly tokens: readonly number[];
  /** Tokens the slot's cache holds before this step. */
  readonly start: number;
  /** Positions on the T, H and W axes of each row; the cache index on each when absent. */
  readonly positions?: (index: number) => readonly [number, number, number];
}

export interface CaseStep {
  /** Recurrent states copied before the step: from, to. A mutated run leaves them out. */
  readonly copies?: readonly (readonly [from: number, to: number])[];
  readonly sequences: readonly CaseSequence[];
  /** Grids of images whose patches the step has, row by row; their values are random numbers. */
  readonly images?: readonly (readonly [height: number, width: number])[];
}

/** Sampling parameters of a slot, by name, with its history and biases. */
export interface CaseSampling {
  readonly parameters: Partial<Record<Exclude<keyof typeof sampling, 'size'>, number>>;
  readonly history?: readonly number[];
  readonly biases?: readonly (readonly [token: number, value: number])[];
  /** Which tokens each of the slot's rows may choose; absent: all of them. */
  readonly allows?: (row: number, token: number) => boolean;
}

/**
 * One program and the steps it runs. Its answers must lie within `bound` of the reference's; the same case with one thing
 * wrong, as `mutation` says, must not: a bound that admits the mutation proves nothing.
 */
export interface BackendCase {
  readonly name: string;
  /** Ops beyond `embed`, `gather_rows`, `linear`, `add` and `sample` that a backend must have to be asked. */
  readonly ops: readonly OpName[];
  /** Key of the bound, for backends that need another: the op, and the format where weights matter. */
  readonly boundOf: string;
  readonly bound: number;
  readonly vocab: number;
  readonly ranks?: number;
  readonly kvFormats?: readonly KvFormat[];
  readonly vision?: VisionLimits;
  readonly snapshots?: number;
  readonly steps: readonly CaseStep[];
  /** By slot; greedy when absent. */
  readonly sampling?: (slot: number, mutated: boolean) => CaseSampling;
  readonly mutation: string;
  build(writer: CaseWriter, mutated: boolean): CaseGraph;
}

/** One sequence in slot 0 from the start: tokens 0, 1, 2, ... of the vocabulary, which are rows of random numbers. */
export const rowsStep = (rows: number): CaseStep => ({
  sequences: [{ slot: 0, tokens: Array.from({ length: rows }, (_, index) => index), start: 0 }],
});

/** Row counts at which kernels change their way: single rows, odd tiles, whole tiles and one more. */
export const rowCounts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 64, 65] as const;
