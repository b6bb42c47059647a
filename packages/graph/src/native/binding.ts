/** The native functions that every backend has; `native/cortex/bridge/model.h` makes them. */
export interface NativeBinding {
  /** Starts a device thread of this name. */
  createDevice(threadName: string): NativeDevice;
  closeDevice(device: NativeDevice): Promise<null | NativeFailure>;
  load(device: NativeDevice, spec: NativeSpec): Promise<LoadedModel | NativeFailure>;
  /** What `load` would allocate, without allocating any of it. */
  measure(spec: NativeSpec): { readonly memory: readonly NativeMemory[] } | NativeFailure;
  upload(
    model: NativeHandle,
    rank: number,
    tensor: number,
    rowStart: number,
    bytes: Uint8Array,
  ): Promise<null | NativeFailure>;
  /** Rows that lie in files: six numbers for each part, in the order of `FileRows`; `files` begins with those of earlier calls. */
  uploadFiles(model: NativeHandle, files: readonly string[], parts: Float64Array): Promise<null | NativeFailure>;
  seal(model: NativeHandle): Promise<null | NativeFailure>;
  /** Resolves to nanoseconds on the device. */
  step(model: NativeHandle): Promise<number | NativeFailure>;
  unload(model: NativeHandle): Promise<null | NativeFailure>;
}

declare const deviceBrand: unique symbol;
declare const handleBrand: unique symbol;
/** A device thread. */
export type NativeDevice = { readonly [deviceBrand]: true };
/** A loaded model. */
export type NativeHandle = { readonly [handleBrand]: true };

export interface NativeProgram {
  readonly rank: number;
  readonly words: Int32Array;
  /** Format, rows, columns, lookup of each. */
  readonly tensors: Int32Array;
  /** Heads, head dimension of each layer. */
  readonly kv: Int32Array;
  /** Elements of the convolution window and of the delta state of each layer, per sequence. */
  readonly state: Int32Array;
  readonly arenaElements: number;
  readonly vocab: number;
}

export interface NativeSpec {
  readonly programs: readonly NativeProgram[];
  readonly limits: Int32Array;
  /** In the order of `layoutFields`. */
  readonly offsets: Float64Array;
  readonly stepWords: number;
  readonly kvFormat: number;
  /** 0: what the machine allows. */
  readonly threads: number;
  /** Device of each rank. */
  readonly devices: Int32Array;
  /** Which kernels a backend is to use, where it has several kinds. */
  readonly kernels: string;
}

export interface LoadedModel {
  readonly handle: NativeHandle;
  readonly buffer: ArrayBuffer;
  readonly threads: number;
  /** Whether `uploadFiles` is served. */
  readonly readsFiles: boolean;
  readonly memory: readonly NativeMemory[];
}

/** Bytes of one rank. */
export interface NativeMemory {
  readonly weightBytes: number;
  readonly kvBytes: number;
  readonly stateBytes: number;
  readonly activationBytes: number;
}

/** Native code never throws: it answers its status. */
export type NativeFailure = readonly [
  code: number,
  instruction: number,
  wantBytes: number,
  haveBytes: number,
  message: string,
];

export const isFailure = (value: unknown): value is NativeFailure => Array.isArray(value);
