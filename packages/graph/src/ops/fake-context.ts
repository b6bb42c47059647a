import { referenceCache } from '../backends/reference-cache.js';
import type { Matrix, ReferenceContext, ReferenceState, ReferenceTensor } from '../op.js';
import type { KvLayer } from '../program.js';
import { header, layoutStep, type StepLimits } from '../step.js';

/** What a test gives an op: matrices as rows of numbers, outputs by width, tensors as rows. */
export interface FakeOptions {
  readonly rows: number;
  readonly inputs?: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly outputs?: Readonly<Record<string, number>>;
  readonly weights?: Readonly<Record<string, readonly (readonly (readonly number[])[])[]>>;
  readonly params?: Readonly<Record<string, number>>;
  readonly sequences?: readonly { readonly slot: number; readonly rows: number; readonly length: number }[];
  readonly positions?: readonly (readonly [number, number, number])[];
  /** By row of the patches: image, y, x, and height and width of its grid when they matter. */
  readonly patches?: readonly (readonly number[])[];
  readonly tokens?: readonly number[];
  /** Feature rows of the step. */
  readonly features?: readonly (readonly number[])[];
  readonly sampleRows?: readonly number[];
  readonly cache?: ReturnType<typeof fakeCache>;
  readonly state?: ReferenceState;
  readonly rank?: number;
  readonly peers?: readonly (readonly (readonly number[])[])[];
}

const limits: StepLimits = {
  maxRows: 128,
  maxSequences: 4,
  maxSampled: 8,
  maxContext: 256,
  pages: 16,
  vocab: 8,
  maxBias: 1,
  maxTopLogprobs: 1,
  exposeLogits: false,
  vision: { maxPatches: 16, patchWidth: 2, maxFeatures: 8, featureWidth: 2 },
};

/** A cache whose slots have pages of their own, last pages first. */
export const fakeCache = (layer: KvLayer) => referenceCache(layer, limits.pages, 'F32');

export const fakeState = (convElements: number, deltaElements: number): ReferenceState => ({
  convElements,
  deltaElements,
  conv: new Float64Array(limits.maxSequences * convElements),
  delta: new Float64Array(limits.maxSequences * deltaElements),
});

/** Rows lie three elements apart from each other and start at the fifth, so that strides and offsets are used. */
function toMatrix(rows: readonly (readonly number[])[]): Matrix {
  const width = rows[0]?.length ?? 0;
  const matrix = emptyMatrix(rows.length, width);
  for (const [row, values] of rows.entries()) matrix.data.set(values, matrix.offset + row * matrix.stride);
  return matrix;
}

const emptyMatrix = (rows: number, width: number): Matrix => ({
  data: new Float64Array(5 + rows * (width + 3)).fill(Number.NaN),
  offset: 5,
  stride: width + 3,
  width,
});

const toTensor = (rows: readonly (readonly number[])[]): ReferenceTensor => ({
  rows: rows.length,
  cols: rows[0]!.length,
  data: Float32Array.from(rows.flat()),
});

/** Runs one reference over made-up memory; answers the rows of an output. */
export function runReference(
  op: { reference(context: ReferenceContext): void },
  options: FakeOptions,
): Readonly<Record<string, readonly (readonly number[])[]>> {
  const inputs = new Map(Object.entries(options.inputs ?? {}).map(([role, rows]) => [role, toMatrix(rows)]));
  const outputs = new Map(
    Object.entries(options.outputs ?? {}).map(([role, width]) => [role, emptyMatrix(options.rows, width)]),
  );
  op.reference({
    rows: options.rows,
    rank: options.rank ?? 0,
    ranks: options.peers?.length ?? 1,
    input: (role) => inputs.get(role)!,
    output: (role) => outputs.get(role)!,
    weight: (role) => (options.weights?.[role] ?? []).map(toTensor),
    param: (name) => options.params![name]!,
    peers: () => options.peers!.map(toMatrix),
    step: stepOf(options),
    cache: () => options.cache!,
    state: () => options.state!,
  });
  return Object.fromEntries([...outputs].map(([role, matrix]) => [role, toRows(matrix, options.rows)]));
}

function toRows({ data, offset, stride, width }: Matrix, rows: number): number[][] {
  return Array.from({ length: rows }, (_, row) => [
    ...data.subarray(offset + row * stride, offset + row * stride + width),
  ]);
}

function stepOf(options: FakeOptions): ReferenceContext['step'] {
  const layout = layoutStep(limits);
  const buffer = new ArrayBuffer(layout.size * 4);
  const i32 = new Int32Array(buffer);
  i32[layout.header + header.rows] = options.rows;
  i32.set(options.tokens ?? [], layout.tokens);
  i32.set(options.sampleRows ?? [], layout.sampleRow);
  for (const [row, place] of (options.positions ?? []).entries())
    for (const [axis, position] of place.entries()) i32[layout.positions + axis * limits.maxRows + row] = position;
  for (const [patch, place] of (options.patches ?? []).entries())
    for (const [what, value] of place.entries()) i32[layout.patches + what * limits.vision!.maxPatches + patch] = value;
  i32[layout.header + header.patches] = options.patches?.length ?? 0;
  let next = 0;
  for (const [s, { slot, rows, length }] of (options.sequences ?? []).entries()) {
    i32[layout.sequenceSlot + s] = slot;
    i32[layout.sequenceRow + s] = next;
    i32[layout.sequenceRows + s] = rows;
    i32[layout.sequenceLength + s] = length;
    next += rows;
    for (let page = 0; page < layout.pagesPerSlot; page++)
      i32[layout.pageTable + slot * layout.pagesPerSlot + page] = limits.pages - 1 - page * limits.maxSequences - slot;
  }
  i32[layout.header + header.sequences] = options.sequences?.length ?? 0;
  const f32 = new Float32Array(buffer);
  f32.set((options.features ?? []).flat(), layout.features);
  return { layout, i32, f32 };
}

/** Largest difference of two lists of rows; infinite where one is not a number. */
export function apart(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number {
  const pairs = a.flatMap((row, index) => row.map((value, column) => Math.abs(value - b[index]![column]!)));
  return pairs.reduce((worst, value) => Math.max(worst, Number.isNaN(value) ? Number.POSITIVE_INFINITY : value), 0);
}
