import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { CortexError } from '@helexa/core';

/** The whole native surface. Nothing native is typed elsewhere. */
export interface NativeBinding {
  createDevice(): NativeDevice;
  closeDevice(device: NativeDevice): Promise<null | NativeFailure>;
  load(device: NativeDevice, spec: NativeSpec): Promise<NativeModel | NativeFailure>;
  /** What `load` would allocate, without allocating any of it. */
  measure(spec: NativeSpec): { readonly memory: readonly NativeMemory[] } | NativeFailure;
  upload(
    model: NativeHandle,
    rank: number,
    tensor: number,
    rowStart: number,
    bytes: Uint8Array,
  ): Promise<null | NativeFailure>;
  seal(model: NativeHandle): Promise<null | NativeFailure>;
  /** Resolves to nanoseconds on the device. */
  step(model: NativeHandle): Promise<number | NativeFailure>;
  unload(model: NativeHandle): Promise<null | NativeFailure>;
  /** Resolves to bytes per second that `threads` threads (0: all) read together. */
  readBandwidth(device: NativeDevice, threads: number): Promise<number | NativeFailure>;
  probe(): NativeProbe;
  /** Bytes of one quantised activation row; 0 where there is no such form. */
  quantisedRowBytes(width: number): number;
  /** Whole blocks of floats as a block format, made on Node's worker pool; formats as in `weightFormats`. */
  convertWeights(from: number, to: number, bytes: Uint8Array): Promise<ArrayBuffer | NativeFailure>;
}

declare const deviceBrand: unique symbol;
declare const handleBrand: unique symbol;
/** A device thread. */
export type NativeDevice = { readonly [deviceBrand]: true };
/** A loaded model. */
export type NativeHandle = { readonly [handleBrand]: true };

export interface NativeProbe {
  /** Threads that may run at once: the affinity mask, bounded by the group's processor quota. */
  readonly parallelism: number;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Instruction sets of this build that this machine has, best first. */
  readonly isas: readonly string[];
}

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
  readonly isa: string;
}

export interface NativeModel {
  readonly handle: NativeHandle;
  readonly buffer: ArrayBuffer;
  readonly threads: number;
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

const packageFolder = fileURLToPath(new URL('..', import.meta.url));

/** Loads the addon: `file` itself, or what was built or shipped for this machine; throws `backend_unavailable`. */
export function loadBinding(file?: string): NativeBinding {
  const require = createRequire(import.meta.url);
  try {
    return (file ? require(file) : require('node-gyp-build')(packageFolder)) as NativeBinding;
  } catch (cause) {
    const what = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    const reason = `its native addon cannot be loaded (${what}); install a C++ compiler, then run npm run build:native`;
    throw new CortexError('backend_unavailable', { backend: 'cpu', reason }, { cause });
  }
}
