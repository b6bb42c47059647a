import { CortexError } from '@helexa/core';
import { type Backend, referenceBackend } from '@helexa/graph';
import { cpuBackend } from '@helexa/kernels-cpu';

export const deviceNames = ['auto', 'cpu', 'reference', 'cuda'] as const;
export type DeviceName = (typeof deviceNames)[number];

export const isaNames = ['auto', 'amx', 'avx512', 'avx2', 'portable'] as const;
export type IsaName = (typeof isaNames)[number];

export interface BackendRequest {
  readonly device: DeviceName;
  readonly isa?: IsaName;
  readonly threads?: number;
}

/** The backends that can be made, as functions; tests give their own. */
export interface BackendMakers {
  readonly cpu: (options: { isa?: IsaName; threads?: number }) => Backend;
  readonly reference: () => Backend;
}

const makers: BackendMakers = { cpu: cpuBackend, reference: referenceBackend };

/**
 * Opens the backend a device name asks for. `auto` takes the CPU kernels, and when these cannot be loaded the reference
 * backend, saying so through `warn`; a device asked for by name is given or refused, never replaced.
 */
export function openBackend(
  request: BackendRequest,
  warn: (text: string) => void,
  make: BackendMakers = makers,
): Backend {
  const options = {
    ...(request.isa === undefined ? {} : { isa: request.isa }),
    ...(request.threads === undefined ? {} : { threads: request.threads }),
  };
  switch (request.device) {
    case 'reference':
      return make.reference();
    case 'cuda':
      throw new CortexError('backend_unavailable', { backend: 'cuda', reason: 'this release carries no CUDA kernels' });
    case 'cpu':
      return make.cpu(options);
    case 'auto':
      try {
        return make.cpu(options);
      } catch (error) {
        if (!CortexError.isInstance(error) || error.code !== 'backend_unavailable') throw error;
        warn(`${error.message}; going on with the reference backend: right answers, but slow`);
        return make.reference();
      }
  }
}

/** Opens a backend again by its name, after its device was lost. */
export const reopenBackend =
  (threads: number | undefined, warn: (text: string) => void) =>
  (name: string): Backend => {
    const device = deviceNames.find((known) => known === name && known !== 'auto');
    if (!device)
      throw new CortexError('backend_unavailable', { backend: name, reason: 'nothing here can open it anew' });
    return openBackend({ device, ...(threads === undefined ? {} : { threads }) }, warn);
  };
