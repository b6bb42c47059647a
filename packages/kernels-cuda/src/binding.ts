import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CortexError } from '@helexa/core';
import type { NativeBinding, NativeFailure } from '@helexa/graph/native';

/** The functions of a library that this package's addon has opened. */
export interface CudaBinding extends NativeBinding {
  /** Codes of the ops that it has. */
  ops(): readonly number[];
  devices(): { readonly devices: readonly CudaDevice[] } | NativeFailure;
  /** Emulated libraries only: sets and asks what tests want to; `native/library/control.h` has the words. */
  control?(command: string): number;
}

export interface CudaDevice {
  readonly name: string;
  readonly memoryBytes: number;
  readonly freeBytes: number;
  /** Such as 90 for 9.0. */
  readonly capability: number;
  /** Streaming multiprocessors. */
  readonly processors: number;
}

interface Addon {
  /** The functions of a library, or why it cannot be used here. */
  open(file: string): CudaBinding | string;
}

const packageFolder = fileURLToPath(new URL('..', import.meta.url));

/** The library that was built or shipped for this machine. */
export const libraryFile = fileURLToPath(new URL('../lib/libcortex_cuda.so', import.meta.url));

const unavailable = (reason: string, cause?: unknown): CortexError =>
  new CortexError('backend_unavailable', { backend: 'cuda', reason }, { cause });

/** Opens a library through the addon; throws `backend_unavailable` with what is missing. */
export function openLibrary(file: string): CudaBinding {
  if (isAbsolute(file) && !existsSync(file))
    throw unavailable(`library '${file}' is not there; npm run build:cuda makes it`);
  const opened = loadAddon().open(file);
  if (typeof opened === 'string') throw unavailable(opened);
  return opened;
}

function loadAddon(): Addon {
  const require = createRequire(import.meta.url);
  try {
    return require('node-gyp-build')(packageFolder) as Addon;
  } catch (cause) {
    const what = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw unavailable(`its native addon cannot be loaded (${what})`, cause);
  }
}
