import type { WeightFormat } from '@helexa/core';
import type { FusedOp, OpName } from './opcodes.js';
import type { Program } from './program.js';
import type { StepLayout, StepLimits } from './step.js';

/** How keys and values are stored. */
export type KvFormat = 'F32' | 'F16' | 'BF16';

/** What a kernels package implements. A backend answers what it can run, and runs programs; it knows no architecture. */
export interface Backend {
  readonly name: string;
  /** Ops beyond which a program is refused at load. */
  readonly ops: ReadonlySet<OpName>;
  readonly fusions: ReadonlySet<FusedOp>;
  readonly weightFormats: ReadonlySet<WeightFormat>;
  readonly kvFormats: ReadonlySet<KvFormat>;
  /**
   * Bytes of one row of `width` columns in this backend's own quantised activation form (a multiple of 64), or null when
   * it has none. The fuse pass then lets a norm or an attention hand its consumers quantised rows.
   */
  quantisedRowBytes(width: number): number | null;
  /**
   * Whole blocks of weights in another format, off the JavaScript thread, with the bytes that the encoders in `formats/` give;
   * absent: they are encoded there.
   */
  convertWeights?(from: WeightFormat, to: WeightFormat, bytes: Uint8Array): Promise<Uint8Array>;
  discover(): Promise<readonly DeviceInfo[]>;
  /** Bytes per second that a device reads weights at most, measured now with `threads` threads; absent: not known. */
  readBandwidth?(threads: number): Promise<number>;
  /**
   * What `load` would take for each rank, scratch and padding included, without taking any of it; absent: what the plan says.
   * Throws what `load` would.
   */
  measureMemory?(spec: ModelSpec): readonly MemoryReport[];
  /** Allocates everything one model needs. Weights come next, by `upload`, then `seal`. */
  load(spec: ModelSpec): Promise<DeviceModel>;
  dispose(): Promise<void>;
}

export interface DeviceInfo {
  readonly index: number;
  readonly name: string;
  /** What the device may hold in all, and what is free now. */
  readonly memoryBytes: number;
  readonly freeBytes: number;
  /** Such as `avx512-vnni` or `9.0`. */
  readonly capability: string;
}

export interface ModelSpec {
  /** One per rank; ranks run in lock step. */
  readonly programs: readonly Program[];
  /** Device index of each rank; several ranks may share a device. */
  readonly devices: readonly number[];
  readonly limits: StepLimits;
  readonly kvFormat: KvFormat;
  /** Worker threads over all ranks; absent: what the machine allows. CPU only. */
  readonly threads?: number;
}

export interface MemoryReport {
  readonly weightBytes: number;
  readonly kvBytes: number;
  readonly stateBytes: number;
  readonly activationBytes: number;
  readonly stepBytes: number;
}

/** A step's outcome beyond what stands in the output region. */
export interface StepReport {
  /** Time on the device, in nanoseconds. */
  readonly deviceNs: number;
}

/** Rows of one tensor that lie one after another in a file, in the tensor's own format. */
export interface FileRows {
  readonly rank: number;
  readonly tensor: number;
  readonly rowStart: number;
  readonly rows: number;
  readonly file: string;
  /** Byte of the first of them. */
  readonly offset: number;
}

/** One model on its devices. Owner: whoever called `load`. */
export interface DeviceModel {
  readonly layout: StepLayout;
  /** The step buffer, laid out by `layout`. The same memory for the model's whole life. */
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  readonly memory: readonly MemoryReport[];
  /**
   * Packs rows `[rowStart, rowStart + count)` of a tensor from row-major bytes in the tensor's own format. Rows may come in
   * any order and in parallel; `bytes` may be reused once the promise settles.
   */
  upload(rank: number, tensor: number, rowStart: number, bytes: Uint8Array): Promise<void>;
  /**
   * Fills the same from files, read by the device itself with as many threads as it likes; absent: their bytes come by `upload`.
   * Rejects with `checkpoint_invalid` when a file has less. A device may come back to the files until the second step.
   */
  uploadFiles?(parts: readonly FileRows[]): Promise<void>;
  /** Ends loading; refuses when a row of any tensor was not filled exactly once. */
  seal(): Promise<void>;
  /** Runs the program over the step in `buffer`. One at a time: the next may be submitted once this settles. */
  step(): Promise<StepReport>;
  /** Frees everything; later calls reject with `disposed`. Safe to call while a step runs: it ends first. */
  dispose(): Promise<void>;
}
