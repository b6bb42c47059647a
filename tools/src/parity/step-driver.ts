import { type DeviceModel, header, pageTokens, sampled, sampling } from '@helexa/graph';
import type { VisualRows } from '@helexa/neuron';

/** Consecutive tokens of one sequence in a step; every one of its rows is sampled. */
export interface StepSegment {
  readonly slot: number;
  /** Position of the first token. */
  readonly start: number;
  readonly tokens: readonly number[];
  readonly visual?: VisualRows | undefined;
}

export interface SegmentResult {
  /** Rows times vocabulary; a copy. */
  readonly logits: Float32Array;
  /** Token that the device chose after the last row. */
  readonly next: number;
}

/** Writes steps straight into a device's buffer: no engine between the numbers and the report. */
export class StepDriver {
  readonly #device: DeviceModel;
  readonly #int: Int32Array;
  readonly #float: Float32Array;
  #sequence = 0;

  /** Gives every slot its own pages and plain greedy sampling. */
  constructor(device: DeviceModel) {
    this.#device = device;
    const { layout, buffer } = device;
    this.#int = new Int32Array(buffer, 0, layout.size);
    this.#float = new Float32Array(buffer, 0, layout.size);
    for (let slot = 0; slot < layout.limits.maxSequences; slot++) {
      for (let page = 0; page < layout.pagesPerSlot; page++) {
        this.#int[layout.pageTable + slot * layout.pagesPerSlot + page] = slot * layout.pagesPerSlot + page;
      }
      const at = layout.sampling + slot * sampling.size;
      this.#int.fill(0, at, at + sampling.size);
      this.#float[at + sampling.topP] = 1;
      this.#float[at + sampling.repetitionPenalty] = 1;
      this.#int[at + sampling.topLogprobs] = -1;
    }
  }

  /** Pages that `maxSequences` slots of `maxContext` tokens take. */
  static pagesFor(maxSequences: number, maxContext: number): number {
    return maxSequences * Math.ceil(maxContext / pageTokens);
  }

  async run(segments: readonly StepSegment[]): Promise<SegmentResult[]> {
    const { layout } = this.#device;
    const { maxRows, vocab } = layout.limits;
    const int = this.#int;
    let row = 0;
    let features = 0;
    segments.forEach(({ slot, start, tokens, visual }, index) => {
      int[layout.sequenceSlot + index] = slot;
      int[layout.sequenceRow + index] = row;
      int[layout.sequenceRows + index] = tokens.length;
      int[layout.sequenceLength + index] = start + tokens.length;
      tokens.forEach((token, offset) => {
        const feature = visual?.feature(start + offset);
        if (feature) this.#float.set(feature, layout.features + features * feature.length);
        int[layout.tokens + row] = feature ? -1 - features++ : token;
        for (let axis = 0; axis < 3; axis++)
          int[layout.positions + axis * maxRows + row] = visual?.position(axis, start + offset) ?? start + offset;
        int[layout.sampleRow + row] = row;
        int[layout.sampleSlot + row] = slot;
        int[layout.sampleCounter + row] = 0;
        row++;
      });
    });
    int[layout.header + header.sequence] = ++this.#sequence;
    int[layout.header + header.rows] = row;
    int[layout.header + header.sequences] = segments.length;
    int[layout.header + header.sampled] = row;
    int[layout.header + header.patches] = 0;
    int[layout.header + header.features] = 0;
    await this.#device.step();
    let first = 0;
    return segments.map(({ tokens }) => {
      const begin = layout.logits + first * vocab;
      first += tokens.length;
      return {
        logits: this.#float.slice(begin, layout.logits + first * vocab),
        next: int[layout.output + (first - 1) * sampled.size + sampled.token]!,
      };
    });
  }
}
