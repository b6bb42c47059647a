import type { Checkpoint, QuantFormat } from '@helexa/core';
import type { Architecture } from '../architecture.js';
import type { Backend, DeviceModel, KvFormat } from '../backend.js';
import { type Compiled, compile } from '../compile.js';
import { pageTokens } from '../program.js';
import { type StepLimits, sampled } from '../step.js';
import { fillDevice } from './fill-device.js';
import { type Chunk, writeChunks } from './write-chunks.js';

export interface ScriptedOptions {
  readonly architecture: Architecture;
  readonly config: unknown;
  readonly checkpoint: Checkpoint;
  readonly backend: Backend;
  readonly ranks?: number;
  readonly kvFormat?: KvFormat;
  readonly quant?: QuantFormat;
}

const limitsFor = (vocab: number): StepLimits => ({
  maxRows: 96,
  maxSequences: 3,
  maxSampled: 96,
  maxContext: 192,
  pages: 9,
  vocab,
  maxBias: 0,
  maxTopLogprobs: 0,
  exposeLogits: true,
});

/** A loaded model that runs steps as a test writes them and answers the logits of every row. */
export class ScriptedModel {
  readonly compiled: Compiled;
  /** Weight bytes each rank was given. */
  readonly uploaded: readonly number[];
  readonly #device: DeviceModel;

  private constructor(device: DeviceModel, compiled: Compiled, uploaded: readonly number[]) {
    this.#device = device;
    this.compiled = compiled;
    this.uploaded = uploaded;
  }

  static async load(options: ScriptedOptions): Promise<ScriptedModel> {
    const { architecture, config, checkpoint, backend, ranks = 1, kvFormat = 'F32' } = options;
    const limits = limitsFor(architecture.facts(config).vocab);
    const { quant } = options;
    const compiled = compile({ architecture, config, checkpoint, ranks, backend, limits, kvFormat, quant });
    const devices = compiled.programs.map(() => 0);
    const device = await backend.load({ programs: compiled.programs, devices, limits, kvFormat });
    return new ScriptedModel(device, compiled, await fillDevice(device, compiled));
  }

  /** Runs one step; the logits of every row, in the order of the chunks. */
  async step(chunks: readonly Chunk[]): Promise<{ logits: Float32Array[]; tokens: number[] }> {
    const rows = writeChunks(this.#device, chunks, 'every');
    await this.#device.step();
    const { layout, buffer } = this.#device;
    const i32 = new Int32Array(buffer);
    const f32 = new Float32Array(buffer);
    const { vocab } = layout.limits;
    const at = (index: number): number => layout.logits + index * vocab;
    return {
      logits: Array.from({ length: rows }, (_, index) => f32.slice(at(index), at(index + 1))),
      tokens: Array.from({ length: rows }, (_, index) => i32[layout.output + index * sampled.size + sampled.token]!),
    };
  }

  /** Logits of one sequence from its start, in chunks of these lengths (the last one is repeated). */
  async prefill(ids: readonly number[], chunkLengths: readonly number[] = [ids.length]): Promise<Float32Array[]> {
    const logits: Float32Array[] = [];
    for (let chunk = 0; logits.length < ids.length; chunk++) {
      const length = chunkLengths[Math.min(chunk, chunkLengths.length - 1)]!;
      const past = logits.length;
      logits.push(...(await this.step([{ slot: 0, tokens: ids.slice(past, past + length), past }])).logits);
    }
    return logits;
  }

  /** The next tokens after a prompt, each the likeliest. */
  async greedy(ids: readonly number[], count: number): Promise<number[]> {
    const answer: number[] = [];
    let step = await this.step([{ slot: 0, tokens: ids, past: 0 }]);
    for (;;) {
      answer.push(step.tokens.at(-1)!);
      if (answer.length === count) return answer;
      step = await this.step([{ slot: 0, tokens: answer.slice(-1), past: ids.length + answer.length - 1 }]);
    }
  }

  dispose(): Promise<void> {
    return this.#device.dispose();
  }
}

/** Pages hold 64 tokens; a case that crosses the first one is longer than this. */
export const crossesPage = (ids: readonly number[]): boolean => ids.length > pageTokens;

/** Largest difference between two runs of logits. */
export function largestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (const [row, values] of a.entries())
    for (const [column, value] of values.entries()) {
      const difference = Math.abs(value - b[row]![column]!);
      if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    }
  return largest;
}
