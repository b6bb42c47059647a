import { blockOf, CortexError, rowBytes } from '@helexa/core';
import { decodeInto } from '../formats/index.js';
import type { ReferenceTensor } from '../op.js';
import type { TensorSpec } from '../program.js';

/** The tensors of one rank, decoded to float32 as their rows arrive. */
export class ReferenceWeights {
  readonly tensors: readonly ReferenceTensor[];
  readonly #specs: readonly TensorSpec[];
  /** How often each row was filled. */
  readonly #fills: readonly Uint8Array[];

  constructor(specs: readonly TensorSpec[]) {
    for (const { name, format, cols } of specs) {
      if (cols % blockOf[format].elements !== 0)
        refuse(name, `rows of ${cols} columns are not whole blocks of '${format}'`);
    }
    this.#specs = specs;
    this.tensors = specs.map(({ rows, cols }) => ({ rows, cols, data: new Float32Array(rows * cols) }));
    this.#fills = specs.map(({ rows }) => new Uint8Array(rows));
  }

  get bytes(): number {
    return this.tensors.reduce((sum, tensor) => sum + tensor.data.byteLength, 0);
  }

  upload(tensor: number, rowStart: number, bytes: Uint8Array): void {
    const spec = this.#specs[tensor];
    if (!spec) refuse(`tensor ${tensor}`, `there are ${this.#specs.length} tensors`);
    const rows = bytes.length / rowBytes(spec.format, spec.cols);
    if (!Number.isInteger(rows) || rowStart < 0 || rowStart + rows > spec.rows)
      refuse(spec.name, `${bytes.length} bytes from row ${rowStart} on are not rows of ${spec.rows} x ${spec.cols}`);
    decodeInto(spec.format, bytes, this.tensors[tensor]!.data, rowStart * spec.cols);
    const fills = this.#fills[tensor]!;
    for (let row = rowStart; row < rowStart + rows; row++) fills[row] = Math.min(255, fills[row]! + 1);
  }

  /** Throws unless every row was filled exactly once. */
  seal(): void {
    for (const [index, fills] of this.#fills.entries()) {
      const row = fills.findIndex((count) => count !== 1);
      if (row >= 0) refuse(this.#specs[index]!.name, `row ${row} was filled ${fills[row]} times; once is wanted`);
    }
  }
}

function refuse(tensor: string, reason: string): never {
  throw new CortexError('upload_invalid', { tensor, reason });
}
