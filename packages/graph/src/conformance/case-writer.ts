import type { WeightFormat } from '@helexa/core';
import { quantise } from '../formats/index.js';
import { GraphWriter } from '../graph-writer.js';
import type { OpName } from '../opcodes.js';
import { ops } from '../ops/index.js';
import { verify } from '../passes/verify.js';
import type { TensorSpec } from '../program.js';
import { type Attributes, type Graph, type Value, type Weight, widthOf } from '../value.js';
import { randomValues } from './random.js';

/** A tensor of a case with the bytes to upload. */
export interface CaseTensor {
  readonly spec: TensorSpec;
  readonly bytes: Uint8Array;
}

/** One rank's part of a case, ready to be lowered. */
export interface CaseGraph {
  readonly graph: Graph;
  readonly tensors: readonly CaseTensor[];
}

export interface MatrixOptions {
  readonly format?: WeightFormat;
  /** Scales the random values; 1 / sqrt(cols) keeps products of the size of their inputs. */
  readonly scale?: number;
  readonly values?: (row: number, col: number) => number;
  readonly lookup?: boolean;
}

/**
 * Writes the graph of one case. Values enter by looking tokens up in random tables, the only way into a program, and leave
 * as logits through an identity matrix, so that a whole backend is tested and nothing beside it.
 */
export class CaseWriter {
  readonly vocab: number;
  readonly rank: number;
  readonly #writer = new GraphWriter();
  readonly #tensors: CaseTensor[] = [];
  #nodes = 0;

  constructor(vocab: number, rank = 0) {
    this.vocab = vocab;
    this.rank = rank;
  }

  /** A value of random numbers, a row for each token of the vocabulary; the same for the same name. */
  input(name: string, width: number, scale = 1): Value {
    const table = this.matrix(name, [this.vocab], width, { scale, lookup: true });
    return this.run('embed', [], { table }, { vocabStart: 0 })[0]!;
  }

  /** A value of random numbers, a row for each patch of the step. */
  patches(name: string, width: number, patchWidth: number): Value {
    const pixels = this.run('load_patches', [], {}, { width: patchWidth })[0]!;
    return this.run('linear', [pixels], { matrix: this.matrix(name, [width], patchWidth) })[0]!;
  }

  /** Ends with the rows of merged patches: a step reads row i of them with token -1 - i. */
  finishFeatures(features: Value): CaseGraph {
    this.run('store_features', [features]);
    return this.finish([this.input('tokens', widthOf(features))]);
  }

  /** A vector; random around 1 when no values are given. */
  vector(name: string, length: number, values?: (index: number) => number): Weight {
    const random = randomValues(name, length).map((value) => 1 + value / 4);
    const data = values ? Float32Array.from({ length }, (_, index) => values(index)) : random;
    const tensor = this.#tensor({ name, format: 'F32', rows: length, cols: 1, lookup: false }, data);
    return { slot: name, segments: [{ name, rows: length, tensor }], cols: null, cut: null };
  }

  /** A matrix of one tensor per segment. */
  matrix(name: string, segments: readonly number[], cols: number, options: MatrixOptions = {}): Weight {
    const { format = 'F32', scale = 1 / Math.sqrt(cols), values, lookup = false } = options;
    const parts = segments.map((rows, index) => {
      const part = `${name}.${index}`;
      const data = values
        ? Float32Array.from({ length: rows * cols }, (_, at) => values(Math.floor(at / cols), at % cols))
        : randomValues(part, rows * cols).map((value) => value * scale);
      return { name: part, rows, tensor: this.#tensor({ name: part, format, rows, cols, lookup }, data) };
    });
    return { slot: name, segments: parts, cols, cut: null };
  }

  run(
    op: OpName,
    inputs: readonly Value[],
    weights: Readonly<Record<string, Weight | undefined>> = {},
    attributes: Attributes = {},
  ): readonly Value[] {
    const node = { op, name: `${op}.${this.#nodes++}`, inputs, weights, attributes };
    return this.#writer.node(node, ops[op].shape(node)).outputs;
  }

  /** One segment of a value. */
  segment(value: Value, index: number): Value {
    return this.#writer.view(value, index, `${value.name}.${index}`);
  }

  /** Reads the outputs out side by side: row i of the logits is row i of the step, for every row of it. */
  finish(outputs: readonly Value[]): CaseGraph {
    let column = 0;
    const shares = outputs.map((output) => {
      const start = column;
      column += widthOf(output);
      const place = this.matrix(`readout.${start}`, [this.vocab], widthOf(output), {
        values: (row, col) => (row === start + col ? 1 : 0),
      });
      const rows = output.rows === 'sampled' ? output : this.run('gather_rows', [output])[0]!;
      return this.run('linear', [rows], { matrix: place })[0]!;
    });
    const logits = shares.reduce((sum, share) => this.run('add', [sum, share])[0]!);
    return this.finishWith(logits);
  }

  /** Ends without a head: the value's rows stand where logits would. */
  finishRows(value: Value): CaseGraph {
    this.run('expose_rows', [this.run('gather_rows', [value])[0]!]);
    return this.#end();
  }

  /** Ends with these logits as they are. */
  finishWith(logits: Value): CaseGraph {
    this.run('sample', [logits]);
    return this.#end();
  }

  #end(): CaseGraph {
    const graph = this.#writer.graph();
    verify(graph, ops);
    return { graph, tensors: this.#tensors };
  }

  #tensor(spec: TensorSpec, values: Float32Array): number {
    this.#tensors.push({ spec, bytes: quantise(spec.format, values) });
    return this.#tensors.length - 1;
  }
}
