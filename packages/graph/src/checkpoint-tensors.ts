import { blockOf, type Checkpoint, CortexError, type TensorEntry, type WeightFormat } from '@helexa/core';
import { fileShape, instances, tensorNames } from './resolve-weights.js';
import type { WeightsTable } from './weights.js';

/** One tensor that a checkpoint of this family has: what a maker of random checkpoints writes. */
export interface CheckpointTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** The slot that reads it, such as `layers.0.qkv`. */
  readonly slot: string;
  /** Norms, biases and other vectors: always stored as floats. */
  readonly vector: boolean;
  /** Not quantised when the rest of the model is. */
  readonly exact: boolean;
}

/** Every tensor of a checkpoint that fills this table, each once, in table order. Computed rows need none. */
export function listCheckpointTensors(table: WeightsTable, kind: Checkpoint['kind']): readonly CheckpointTensor[] {
  const tensors = new Map<string, CheckpointTensor>();
  for (const { slot, row, layer } of instances(table)) {
    if (row.compute) continue;
    for (const segment of row.segments) {
      const source = segment[kind][0];
      if (!source) continue;
      for (const name of tensorNames(source, layer))
        if (!tensors.has(name))
          tensors.set(name, {
            name,
            shape: fileShape(row, segment, source),
            slot,
            vector: row.cols === null,
            exact: row.exact ?? false,
          });
    }
  }
  return [...tensors.values()];
}

/**
 * A checkpoint that exists on paper only: headers as they would be, formats given by slot. Vectors and rows kept exact are F32; a row that is not
 * whole blocks of its format is refused.
 */
export function paperCheckpoint(
  table: WeightsTable,
  options: {
    readonly kind?: Checkpoint['kind'];
    readonly config?: unknown;
    readonly format: (slot: string) => WeightFormat;
  },
): Checkpoint {
  const kind = options.kind ?? 'safetensors';
  const tensors = new Map<string, TensorEntry>();
  let begin = 0;
  for (const { name, shape, slot, vector, exact } of listCheckpointTensors(table, kind)) {
    const format = vector || exact ? 'F32' : options.format(slot);
    if (shape.at(-1)! % blockOf[format].elements !== 0)
      throw new CortexError('tensor_format', { tensor: name, format, supported: ['F32', 'F16', 'BF16'] });
    const elements = shape.reduce((product, size) => product * size, 1);
    const end = begin + (elements / blockOf[format].elements) * blockOf[format].bytes;
    tensors.set(name, { name, format, shape, file: 'paper', begin, end });
    begin = end;
  }
  return { kind, path: 'paper', tensors, config: options.config ?? null, metadata: new Map() };
}
