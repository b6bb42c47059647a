import type { ReferenceContext } from '../op.js';
import { pageTokens } from '../program.js';
import { header } from '../step.js';

/**
 * One sequence of a step: rows `row` to `row + rows - 1` are its tokens, the last of which is token `length - 1` of its
 * cache. Row i therefore is token `length - rows + i`.
 */
export interface StepSequence {
  readonly slot: number;
  readonly row: number;
  readonly rows: number;
  readonly length: number;
}

type Step = ReferenceContext['step'];

export function sequencesOf({ layout, i32 }: Step): readonly StepSequence[] {
  return Array.from({ length: i32[layout.header + header.sequences]! }, (_, s) => ({
    slot: i32[layout.sequenceSlot + s]!,
    row: i32[layout.sequenceRow + s]!,
    rows: i32[layout.sequenceRows + s]!,
    length: i32[layout.sequenceLength + s]!,
  }));
}

/** Page of the pool that holds a token of a slot's sequence. */
export const pageOf = ({ layout, i32 }: Step, slot: number, token: number): number =>
  i32[layout.pageTable + slot * layout.pagesPerSlot + Math.floor(token / pageTokens)]!;
