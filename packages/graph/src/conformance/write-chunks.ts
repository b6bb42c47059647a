import type { DeviceModel } from '../backend.js';
import { header, sampling } from '../step.js';

/** Tokens of one sequence in one step. */
export interface Chunk {
  readonly slot: number;
  readonly tokens: readonly number[];
  /** Tokens of the sequence that are in the cache already. */
  readonly past: number;
  /** Added to every position: what a wrong engine would do. */
  readonly shift?: number;
}

/** Writes a step that samples the last row of each chunk or every row, greedily; gives the number of sampled rows. */
export function writeChunks(
  { layout, buffer }: Pick<DeviceModel, 'layout' | 'buffer'>,
  chunks: readonly Chunk[],
  sampledRows: 'last' | 'every',
): number {
  const { maxRows, maxSequences, pages } = layout.limits;
  const i32 = new Int32Array(buffer);
  const f32 = new Float32Array(buffer);
  let row = 0;
  let samples = 0;
  for (const [index, { slot, tokens, past, shift = 0 }] of chunks.entries()) {
    i32[layout.sequenceSlot + index] = slot;
    i32[layout.sequenceRow + index] = row;
    i32[layout.sequenceRows + index] = tokens.length;
    i32[layout.sequenceLength + index] = past + tokens.length;
    for (let page = 0; page < layout.pagesPerSlot; page++)
      i32[layout.pageTable + slot * layout.pagesPerSlot + page] = (page * maxSequences + slot) % pages;
    const parameters = layout.sampling + slot * sampling.size;
    f32[parameters + sampling.topP] = 1;
    f32[parameters + sampling.repetitionPenalty] = 1;
    for (const [offset, token] of tokens.entries()) {
      i32[layout.tokens + row] = token;
      for (let axis = 0; axis < 3; axis++) i32[layout.positions + axis * maxRows + row] = past + offset + shift;
      if (sampledRows === 'every' || offset === tokens.length - 1) {
        i32[layout.sampleRow + samples] = row;
        i32[layout.sampleSlot + samples] = slot;
        samples++;
      }
      row++;
    }
  }
  i32.set([0, row, chunks.length, samples, 0], layout.header + header.sequence);
  return samples;
}
