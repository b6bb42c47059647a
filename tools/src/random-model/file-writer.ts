import { closeSync, openSync, writeSync } from 'node:fs';
import { blockOf, rowBytes, type WeightFormat } from '@helexa/core';
import type { CheckpointTensor } from '@helexa/graph';
import { type BlockFiller, blockFiller } from './random-blocks.js';
import type { RandomWords } from './random-words.js';

/** A tensor as it will lie in the file. */
export interface PlannedTensor {
  readonly tensor: CheckpointTensor;
  readonly format: WeightFormat;
  readonly bytes: number;
}

export function planTensors(
  tensors: readonly CheckpointTensor[],
  formatOf: (tensor: CheckpointTensor) => WeightFormat,
): PlannedTensor[] {
  return tensors.map((tensor) => {
    const format = formatOf(tensor);
    const columns = tensor.shape.at(-1)!;
    const rows = tensor.shape.slice(0, -1).reduce((product, size) => product * size, 1);
    return { tensor, format, bytes: rows * rowBytes(format, columns) };
  });
}

const chunkBytes = 4 * 2 ** 20;

/** Writes one file front to back, a few megabytes at a time. Owner: whoever made it; `close` ends it. */
export class FileWriter {
  readonly #file: number;
  position = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at, bytes.length - at);
    this.position += bytes.length;
  }

  padTo(multiple: number): void {
    const rest = this.position % multiple;
    if (rest > 0) this.write(new Uint8Array(multiple - rest));
  }

  /** Random weights of one tensor. */
  writeRandom({ tensor, format, bytes }: PlannedTensor, random: RandomWords): void {
    const fill = fillerOf(tensor, format, random);
    const block = blockOf[format].bytes;
    const buffer = new Uint8Array(Math.floor(chunkBytes / block) * block);
    for (let left = bytes; left > 0; ) {
      const part = buffer.subarray(0, Math.min(left, buffer.length));
      fill(part);
      this.write(part);
      left -= part.length;
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Norms lie around one, biases around zero, decays below it; matrices keep the size of what they multiply. */
function fillerOf(tensor: CheckpointTensor, format: WeightFormat, random: RandomWords): BlockFiller {
  if (!tensor.vector) return blockFiller(format, { center: 0, reach: Math.sqrt(3 / tensor.shape.at(-1)!) }, random);
  const isBias = tensor.name.endsWith('.bias');
  // -exp(A_log), as a GGUF file holds it: above zero a state would grow without end.
  const center = tensor.name.endsWith('.ssm_a') ? -1 : 1;
  return blockFiller(format, isBias ? { center: 0, reach: 0.1 } : { center, reach: 0.2 }, random);
}
