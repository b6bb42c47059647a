import { header, maskWords, patchPlace, type StepLayout, sampled, sampling } from '@helexa/graph';
import { blockOrder } from '../vision/patchify.js';
import type { PreparedImage } from '../vision/prepare-image.js';

/** How a sequence chooses its tokens; every field has its final value. */
export interface SamplingParameters {
  /** At most 0: the most likely token. */
  readonly temperature: number;
  /** 0: off. */
  readonly topK: number;
  /** 1: off. */
  readonly topP: number;
  /** 0: off. */
  readonly minP: number;
  /** 1: off. */
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Token and what is added to its logit. */
  readonly bias: readonly (readonly [token: number, value: number])[];
  /** How many alternatives to report; null: no log-probabilities at all. */
  readonly topLogprobs: number | null;
}

/** Rows of one slot in the step being written. */
export interface StepRows {
  readonly slot: number;
  readonly start: number;
  readonly tokens: readonly number[];
  /** Tokens sampled before from this slot; null: the last row is not sampled. */
  readonly sampleCounter: number | null;
  /** Of a sequence whose prompt has images. */
  readonly visual?: VisualRows | null;
  /** The tokens that may be sampled; null or absent: any. */
  readonly mask?: Int32Array | null;
}

/** Where the tokens of a prompt with images stand, and what stands in for some of them. */
export interface VisualRows {
  position(axis: number, token: number): number;
  /** The feature row in place of a token; null: the token itself. */
  feature(token: number): Float32Array | null;
}

/** What the device answered for one sampled row. */
export interface SampledToken {
  readonly token: number;
  readonly isUnhealthy: boolean;
  readonly logprob: number;
}

/** Reads and writes the step buffer by its layout; the only place that knows where a field lies. */
export class StepWriter {
  readonly #layout: StepLayout;
  readonly #int: Int32Array;
  readonly #float: Float32Array;
  /** Copies of recurrent state for the next step, in order. */
  #copies: { readonly from: number; readonly to: number }[] = [];
  #sequence = 0;

  constructor(layout: StepLayout, buffer: ArrayBuffer | SharedArrayBuffer) {
    this.#layout = layout;
    this.#int = new Int32Array(buffer, 0, layout.size);
    this.#float = new Float32Array(buffer, 0, layout.size);
  }

  /** Gives a slot to a new sequence: its sampling parameters, its seed and its prompt. */
  openSlot(slot: number, prompt: readonly number[], parameters: SamplingParameters, seed: bigint): void {
    const { limits } = this.#layout;
    const at = this.#layout.sampling + slot * sampling.size;
    this.#int.fill(0, at, at + sampling.size);
    this.#float[at + sampling.temperature] = parameters.temperature;
    this.#int[at + sampling.topK] = parameters.topK;
    this.#float[at + sampling.topP] = parameters.topP;
    this.#float[at + sampling.minP] = parameters.minP;
    this.#float[at + sampling.repetitionPenalty] = parameters.repetitionPenalty;
    this.#float[at + sampling.presencePenalty] = parameters.presencePenalty;
    this.#float[at + sampling.frequencyPenalty] = parameters.frequencyPenalty;
    this.#int[at + sampling.seedLow] = Number(BigInt.asIntN(32, seed));
    this.#int[at + sampling.seedHigh] = Number(BigInt.asIntN(32, seed >> 32n));
    this.#int[at + sampling.biasCount] = parameters.bias.length;
    this.#int[at + sampling.topLogprobs] = parameters.topLogprobs ?? -1;
    this.#int[at + sampling.historyLength] = prompt.length;
    this.#int[at + sampling.promptLength] = prompt.length;
    parameters.bias.forEach(([token, value], index) => {
      this.#int[this.#layout.biasToken + slot * limits.maxBias + index] = token;
      this.#float[this.#layout.biasValue + slot * limits.maxBias + index] = value;
    });
    this.#int.set(prompt, this.#layout.history + slot * limits.maxContext);
  }

  /** Lets the next step begin by making one recurrent state what another is. */
  copyState(from: number, to: number): void {
    // A slot that was given away again before any step ran needs only its last beginning.
    const { maxSequences } = this.#layout.limits;
    if (to < maxSequences) this.#copies = this.#copies.filter((copy) => copy.to !== to);
    this.#copies.push({ from, to });
  }

  writePages(slot: number, pages: readonly number[], from: number): void {
    const at = this.#layout.pageTable + slot * this.#layout.pagesPerSlot;
    for (let index = from; index < pages.length; index++) this.#int[at + index] = pages[index]!;
  }

  /** Adds an output token to the slot's history, which the penalties read. */
  appendHistory(slot: number, length: number, token: number): void {
    this.#int[this.#layout.history + slot * this.#layout.limits.maxContext + length] = token;
    this.#int[this.#layout.sampling + slot * sampling.size + sampling.historyLength] = length + 1;
  }

  writeStep(batch: readonly StepRows[]): void {
    const layout = this.#layout;
    const int = this.#int;
    const { maxRows } = layout.limits;
    let row = 0;
    let samples = 0;
    let features = 0;
    batch.forEach((rows, index) => {
      int[layout.sequenceSlot + index] = rows.slot;
      int[layout.sequenceRow + index] = row;
      int[layout.sequenceRows + index] = rows.tokens.length;
      int[layout.sequenceLength + index] = rows.start + rows.tokens.length;
      for (const [offset, token] of rows.tokens.entries()) {
        const index = rows.start + offset;
        const feature = rows.visual?.feature(index);
        if (feature) this.#float.set(feature, layout.features + features * feature.length);
        int[layout.tokens + row] = feature ? -1 - features++ : token;
        // A row of text stands at the same position on all three axes.
        for (let axis = 0; axis < 3; axis++)
          int[layout.positions + axis * maxRows + row] = rows.visual?.position(axis, index) ?? index;
        row += 1;
      }
      if (rows.sampleCounter === null) return;
      int[layout.sampleRow + samples] = row - 1;
      int[layout.sampleSlot + samples] = rows.slot;
      int[layout.sampleCounter + samples] = rows.sampleCounter;
      int[layout.sampleMasked + samples] = rows.mask ? 1 : 0;
      if (rows.mask) int.set(rows.mask, layout.masks + samples * maskWords(layout.limits.vocab));
      samples += 1;
    });
    this.#writeHeader({ rows: row, sequences: batch.length, sampled: samples, patches: 0, features: 0 });
  }

  /** A step that turns one image into feature rows, without any tokens. */
  writeImage(image: PreparedImage, merge: number): void {
    const { grid, features } = image;
    const layout = this.#layout;
    const { maxPatches = 0 } = layout.limits.vision ?? {};
    const write = (what: Exclude<keyof typeof patchPlace, 'size'>, patch: number, value: number): void => {
      this.#int[layout.patches + patchPlace[what] * maxPatches + patch] = value;
    };
    let patch = 0;
    for (const [y, x] of blockOrder(grid, merge)) {
      write('image', patch, 0);
      write('y', patch, y);
      write('x', patch, x);
      write('gridHeight', patch, grid.height);
      write('gridWidth', patch, grid.width);
      patch += 1;
    }
    this.#float.set(image.pixels(), layout.pixels);
    this.#writeHeader({ rows: 0, sequences: 0, sampled: 0, patches: patch, features });
  }

  /** The feature rows that the last step made. */
  readFeatures(count: number): Float32Array {
    const { featureWidth = 0 } = this.#layout.limits.vision ?? {};
    return this.#float.slice(this.#layout.features, this.#layout.features + count * featureWidth);
  }

  #writeHeader(counts: Readonly<Record<'rows' | 'sequences' | 'sampled' | 'patches' | 'features', number>>): void {
    const at = this.#layout.header;
    this.#sequence = (this.#sequence + 1) | 0;
    this.#int[at + header.sequence] = this.#sequence;
    for (const [name, count] of Object.entries(counts)) this.#int[at + header[name as keyof typeof counts]] = count;
    this.#int.set(
      this.#copies.flatMap(({ from, to }) => [from, to]),
      this.#layout.stateCopies,
    );
    this.#int[at + header.copies] = this.#copies.length;
    this.#copies = [];
  }

  readSampled(index: number): SampledToken {
    const at = this.#layout.output + index * sampled.size;
    return {
      token: this.#int[at + sampled.token]!,
      isUnhealthy: (this.#int[at + sampled.flags]! & 1) !== 0,
      logprob: this.#float[at + sampled.logprob]!,
    };
  }

  /** The row that a model without a head exposes. */
  readRow(index: number, width: number): Float32Array {
    const at = this.#layout.logits + index * this.#layout.limits.vocab;
    return this.#float.slice(at, at + width);
  }

  readTop(index: number, count: number): { token: number; logprob: number }[] {
    const { maxTopLogprobs } = this.#layout.limits;
    return Array.from({ length: Math.min(count, maxTopLogprobs) }, (_, rank) => ({
      token: this.#int[this.#layout.topToken + index * maxTopLogprobs + rank]!,
      logprob: this.#float[this.#layout.topLogprob + index * maxTopLogprobs + rank]!,
    }));
  }
}
