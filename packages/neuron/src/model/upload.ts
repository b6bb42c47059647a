import { blockOf, CortexError, rowBytes, type WeightFormat } from '@helexa/core';
import {
  convertWeights,
  type DeviceModel,
  decodeInto,
  type FileRows,
  type Fill,
  type Program,
  type ReadRange,
  type TensorSpec,
} from '@helexa/graph';
import type { FileReader } from './file-reader.js';

export interface UploadProgress {
  /** Checkpoint bytes read so far, over all ranks. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface UploadOptions {
  readonly device: Pick<DeviceModel, 'upload' | 'uploadFiles'>;
  readonly programs: readonly Program[];
  /** Per rank, parallel to the program's tensors. */
  readonly fills: readonly (readonly Fill[])[];
  readonly reader: FileReader;
  /** Makes whole blocks of one format those of another; absent: on this thread. */
  readonly convertWeights?:
    | ((from: WeightFormat, to: WeightFormat, bytes: Uint8Array) => Promise<Uint8Array>)
    | undefined;
  /** Buffers in flight, and the size of each; a single longer row gets a buffer of its own. */
  readonly concurrency: number;
  readonly bufferBytes: number;
  readonly onProgress?: (progress: UploadProgress) => void;
  readonly signal?: AbortSignal;
}

/** Rows that one upload fills, from the ranges that lie side by side in them. */
interface Chunk {
  readonly ranges: readonly ReadRange[];
  /** Rows counted from the ranges' first. */
  readonly from: number;
  readonly rows: number;
}

/** Bytes that are converted at once: a search over them takes a fraction of a second. */
const convertedBytes = 2 ** 20;

/** Bytes that a device reads by itself before it says so: what progress is counted in, and what a cancelled load waits for. */
const batchBytes = 64 * 2 ** 20;

/** A multiple of the rows that devices pack together: parts cut there share none of them. */
const packedRows = 64;

/** Small reads of one strided chunk that are under way at a time. */
const stridedReads = 16;

/**
 * Fills every tensor of every rank, each from its own byte ranges only, with bounded memory. Returns the bytes read per rank.
 *
 * The first failure stops everything: no upload is running any more when the promise rejects.
 */
export async function uploadWeights(options: UploadOptions): Promise<number[]> {
  const upload = new Upload(options);
  return await upload.run();
}

class Upload {
  readonly #options: UploadOptions;
  readonly #bytesRead: number[];
  readonly #totalBytes: number;
  #isStopped = false;

  constructor(options: UploadOptions) {
    this.#options = options;
    this.#bytesRead = options.fills.map(() => 0);
    const perRank = options.fills.map((fills) => fills.reduce((sum, fill) => sum + bytesOfFill(fill), 0));
    this.#totalBytes = perRank.reduce((sum, bytes) => sum + bytes, 0);
  }

  async run(): Promise<number[]> {
    const tasks = this.#tasks();
    const work = async () => {
      let buffer = new Uint8Array(0);
      const bufferOf = (bytes: number): Uint8Array => {
        if (buffer.length < bytes) buffer = new Uint8Array(bytes);
        return buffer.subarray(0, bytes);
      };
      for (const task of tasks) {
        if (this.#isStopped) return;
        this.#options.signal?.throwIfAborted();
        await task(bufferOf);
      }
    };
    const workers = Array.from({ length: this.#options.concurrency }, () =>
      work().catch((error: unknown) => {
        this.#isStopped = true;
        throw error;
      }),
    );
    const outcomes = await Promise.allSettled(workers);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    return this.#bytesRead;
  }

  /** One generator that all workers pull from: a task is a batch that the device reads, a chunk of rows, or a whole vector. */
  *#tasks(): Generator<(bufferOf: (bytes: number) => Uint8Array) => Promise<void>> {
    const { programs, fills, device } = this.#options;
    let batch: FileRows[] = [];
    let bytesInBatch = 0;
    const flush = () => {
      const parts = batch;
      batch = [];
      bytesInBatch = 0;
      return () => this.#uploadFiles(parts);
    };
    for (const [rank, program] of programs.entries()) {
      for (const [tensor, spec] of program.tensors.entries()) {
        const fill = fills[rank]![tensor]!;
        if (fill.kind === 'read' && !isDecoded(fill, spec)) {
          const inFile = fill.ranges[0]!.entry.format as WeightFormat;
          const isConverted = inFile !== spec.format;
          const width = rowBytes(inFile, spec.cols);
          if (device.uploadFiles && !isConverted && fill.ranges.every((range) => isWhole(range, width))) {
            for (const { rowStart, rows, offset, entry } of fill.ranges) {
              const most = Math.max(1, Math.floor(batchBytes / width / packedRows)) * packedRows;
              for (let row = 0; row < rows; row += most) {
                const part = Math.min(most, rows - row);
                const place = { rank, tensor, rowStart: rowStart + row, rows: part };
                batch.push({ ...place, file: entry.file, offset: offset + row * width });
                bytesInBatch += part * width;
                if (bytesInBatch >= batchBytes) yield flush();
              }
            }
            continue;
          }
          const most = isConverted ? Math.min(convertedBytes, this.#options.bufferBytes) : this.#options.bufferBytes;
          for (const chunk of chunksOf(fill.ranges, Math.max(1, Math.floor(most / width)))) {
            yield async (bufferOf) => {
              const read = bufferOf(chunk.rows * width);
              await this.#readChunk(rank, chunk, width, read);
              const bytes = isConverted ? await this.#convert(inFile, spec, read) : read;
              await this.#options.device.upload(rank, tensor, chunk.ranges[0]!.rowStart + chunk.from, bytes);
            };
          }
        } else {
          yield async () => {
            const values = await this.#values(rank, spec, fill);
            const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
            await this.#options.device.upload(rank, tensor, 0, bytes);
          };
        }
      }
    }
    if (batch.length > 0) yield flush();
  }

  async #uploadFiles(parts: readonly FileRows[]): Promise<void> {
    await this.#options.device.uploadFiles!(parts);
    for (const { rank, tensor, rows } of parts) {
      const { format, cols } = this.#options.programs[rank]!.tensors[tensor]!;
      this.#bytesRead[rank] = this.#bytesRead[rank]! + rows * rowBytes(format, cols);
    }
    this.#report();
  }

  async #convert(from: WeightFormat, spec: TensorSpec, bytes: Uint8Array): Promise<Uint8Array> {
    const convert = this.#options.convertWeights ?? (async (...whole) => convertWeights(...whole));
    try {
      return await convert(from, spec.format, bytes);
    } catch (error) {
      if (!CortexError.isInstance(error) || error.code !== 'weight_bytes') throw error;
      throw new CortexError('upload_invalid', { tensor: spec.name, reason: error.message }, { cause: error });
    }
  }

  /** The values of a vector, a constant or zeros: what is held in float32 and is small. */
  async #values(rank: number, spec: TensorSpec, fill: Fill): Promise<Float32Array> {
    const length = spec.rows * spec.cols;
    if (spec.format !== 'F32') {
      throw new CortexError('internal_error', {
        reason: `the fill of '${spec.name}' gives float32 to a ${spec.format} tensor`,
      });
    }
    if (fill.kind === 'zeros') return new Float32Array(length);
    const ranges = fill.kind === 'read' ? fill.ranges : fill.factors;
    const read = ranges ? await this.#readVector(rank, ranges) : null;
    const values = fill.kind === 'constant' ? fill.values(read) : fill.map ? read!.map(fill.map) : read!;
    if (values.length !== length) {
      throw new CortexError('internal_error', {
        reason: `'${spec.name}' got ${values.length} values; ${length} are wanted`,
      });
    }
    return values;
  }

  async #readVector(rank: number, ranges: readonly ReadRange[]): Promise<Float32Array> {
    const parts: Float32Array[] = [];
    for (const range of ranges) {
      const format = range.entry.format as WeightFormat;
      const bytes = new Uint8Array(range.rows * range.rowBytes);
      await this.#readChunk(
        rank,
        { ranges: [{ ...range, rowByte: 0 }], from: 0, rows: range.rows },
        range.rowBytes,
        bytes,
      );
      const values = new Float32Array((bytes.length / blockOf[format].bytes) * blockOf[format].elements);
      decodeInto(format, bytes, values, 0);
      parts.push(values);
    }
    const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  /** Reads the rows' own bytes and nothing between them. */
  async #readChunk(rank: number, chunk: Chunk, width: number, bytes: Uint8Array): Promise<void> {
    const { reader, signal } = this.#options;
    for (const range of chunk.ranges) {
      const { file } = range.entry;
      const first = range.offset + chunk.from * range.strideBytes;
      if (isWhole(range, width)) {
        await reader.read(file, bytes, first);
      } else {
        for (let row = 0; row < chunk.rows; row += stridedReads) {
          signal?.throwIfAborted();
          const reads: Promise<void>[] = [];
          for (let each = row; each < Math.min(chunk.rows, row + stridedReads); each++) {
            const start = each * width + range.rowByte;
            reads.push(
              reader.read(file, bytes.subarray(start, start + range.rowBytes), first + each * range.strideBytes),
            );
          }
          // All of them end before the buffer can be used again, whatever one of them says.
          const failed = (await Promise.allSettled(reads)).find((each) => each.status === 'rejected');
          if (failed) throw failed.reason;
        }
      }
      this.#bytesRead[rank] = this.#bytesRead[rank]! + chunk.rows * range.rowBytes;
    }
    this.#report();
  }

  #report(): void {
    const total = this.#bytesRead.reduce((sum, each) => sum + each, 0);
    this.#options.onProgress?.({ bytes: total, totalBytes: this.#totalBytes });
  }
}

/** Whole rows of a tensor, one after another. */
const isWhole = (range: ReadRange, width: number): boolean =>
  range.strideBytes === range.rowBytes && range.rowBytes === width;

/** Held in float32 and changed on its way: a vector. A matrix goes as it is read, or is converted in whole rows. */
const isDecoded = (fill: Fill & { kind: 'read' }, spec: TensorSpec): boolean =>
  fill.map !== undefined ||
  (blockOf[spec.format].elements === 1 && fill.ranges.some((range) => range.entry.format !== spec.format));

/** Ranges that fill the same rows side by side, cut to at most `maxRows` rows at a time. */
function* chunksOf(ranges: readonly ReadRange[], maxRows: number): Generator<Chunk> {
  for (let index = 0; index < ranges.length; ) {
    const first = ranges[index]!;
    let end = index + 1;
    while (ranges[end]?.rowStart === first.rowStart) end += 1;
    const group = ranges.slice(index, end);
    for (let from = 0; from < first.rows; from += maxRows) {
      yield { ranges: group, from, rows: Math.min(maxRows, first.rows - from) };
    }
    index = end;
  }
}

function bytesOfFill(fill: Fill): number {
  const ranges = fill.kind === 'read' ? fill.ranges : fill.kind === 'constant' ? (fill.factors ?? []) : [];
  return ranges.reduce((sum, range) => sum + range.rows * range.rowBytes, 0);
}
