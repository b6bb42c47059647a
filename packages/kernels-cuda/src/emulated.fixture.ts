import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type CudaBinding, openLibrary } from './binding.js';
import { cudaBackend } from './cuda-backend.js';

const library = fileURLToPath(new URL('../lib/libcortex_cuda_emulated.so', import.meta.url));

/** Why there is no emulated library to test with, or null. */
export const missingEmulation: string | null = existsSync(library)
  ? null
  : 'no emulated library: npm run build:native makes one where there is a C++ compiler';

/** The backend on emulated devices: the same kernels and the same runtime, compiled for the host. */
export const emulatedBackend = () => cudaBackend({ library });

/** Sets and asks what `native/library/control.h` says. */
export function control(command: string): number {
  const binding: CudaBinding = openLibrary(library);
  return binding.control!(command);
}
