import { open } from 'node:fs/promises';
import { rowBytes, type WeightFormat } from '@helexa/core';
import type { DeviceModel } from '../backend.js';
import type { Compiled } from '../compile.js';
import { convertWeights, decodeRow } from '../formats/index.js';
import type { TensorSpec } from '../program.js';
import type { Fill, ReadRange } from '../weights.js';

/** Fills every tensor of a model from its files, one after another, and seals it. Answers the bytes given to each rank. */
export async function fillDevice(device: DeviceModel, compiled: Compiled): Promise<readonly number[]> {
  const uploaded: number[] = [];
  for (const [rank, program] of compiled.programs.entries()) {
    let total = 0;
    for (const [tensor, spec] of program.tensors.entries()) {
      const bytes = await tensorBytes(spec, compiled.fills[rank]![tensor]!);
      total += bytes.length;
      await device.upload(rank, tensor, 0, bytes);
    }
    uploaded.push(total);
  }
  await device.seal();
  return uploaded;
}

/** The whole of one tensor as it is uploaded: row-major, in its own format. */
export async function tensorBytes(spec: TensorSpec, fill: Fill): Promise<Uint8Array> {
  const vector = (values: Float32Array): Uint8Array =>
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  switch (fill.kind) {
    case 'zeros':
      return new Uint8Array(spec.rows * rowBytes(spec.format, spec.cols));
    case 'constant':
      return vector(fill.values(fill.factors && (await readVector(fill.factors))));
    case 'read': {
      if (spec.cols > 1 || spec.format !== 'F32') return readMatrix(spec, fill.ranges);
      const values = await readVector(fill.ranges);
      return vector(fill.map ? values.map(fill.map) : values);
    }
  }
}

async function readMatrix(spec: TensorSpec, ranges: readonly ReadRange[]): Promise<Uint8Array> {
  const format = ranges[0]!.entry.format as WeightFormat;
  const width = rowBytes(format, spec.cols);
  const bytes = new Uint8Array(spec.rows * width);
  for (const range of ranges)
    for (const [row, data] of (await readRows(range)).entries())
      bytes.set(data, (range.rowStart + row) * width + range.rowByte);
  return format === spec.format ? bytes : convertWeights(format, spec.format, bytes);
}

async function readVector(ranges: readonly ReadRange[]): Promise<Float32Array> {
  const values = new Float32Array(ranges.reduce((end, range) => Math.max(end, range.rowStart + range.rows), 0));
  for (const range of ranges)
    for (const [row, data] of (await readRows(range)).entries())
      values.set(decodeRow(range.entry.format as WeightFormat, data, 1), range.rowStart + row);
  return values;
}

async function readRows({ entry, rows, offset, rowBytes: length, strideBytes }: ReadRange): Promise<Uint8Array[]> {
  const file = await open(entry.file);
  try {
    const span = new Uint8Array((rows - 1) * strideBytes + length);
    await file.read(span, 0, span.length, offset);
    return Array.from({ length: rows }, (_, row) => span.subarray(row * strideBytes, row * strideBytes + length));
  } finally {
    await file.close();
  }
}
