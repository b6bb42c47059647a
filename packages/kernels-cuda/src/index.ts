import { CortexError } from '@helexa/core';
import type { Backend } from '@helexa/graph';

/** The NVIDIA backend. Not built yet: it always refuses, so a caller that may choose goes on to another backend. */
export function cudaBackend(): Backend {
  throw new CortexError('backend_unavailable', { backend: 'cuda', reason: 'it is not built yet' });
}
