import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { CortexError } from '@helexa/core';
import type { NativeBinding, NativeDevice, NativeFailure } from '@helexa/graph/native';

/** The functions of this package's addon. */
export interface CpuBinding extends NativeBinding {
  /** Resolves to bytes per second that `threads` threads (0: all) read together. */
  readBandwidth(device: NativeDevice, threads: number): Promise<number | NativeFailure>;
  probe(): CpuProbe;
  /** Bytes of one quantised activation row; 0 where there is no such form. */
  quantisedRowBytes(width: number): number;
  /** Whole blocks of floats as a block format, made on Node's worker pool; formats as in `weightFormats`. */
  convertWeights(from: number, to: number, bytes: Uint8Array): Promise<ArrayBuffer | NativeFailure>;
}

export interface CpuProbe {
  /** Threads that may run at once: the affinity mask, bounded by the group's processor quota. */
  readonly parallelism: number;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Instruction sets of this build that this machine has, best first. */
  readonly isas: readonly string[];
}

const packageFolder = fileURLToPath(new URL('..', import.meta.url));

/** Loads the addon: `file` itself, or what was built or shipped for this machine; throws `backend_unavailable`. */
export function loadBinding(file?: string): CpuBinding {
  const require = createRequire(import.meta.url);
  try {
    return (file ? require(file) : require('node-gyp-build')(packageFolder)) as CpuBinding;
  } catch (cause) {
    const what = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    const reason = `its native addon cannot be loaded (${what}); install a C++ compiler, then run npm run build:native`;
    throw new CortexError('backend_unavailable', { backend: 'cpu', reason }, { cause });
  }
}
