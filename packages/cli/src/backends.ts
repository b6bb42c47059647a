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
  readonly cuda: () => Backend;
}

/** The backends that are installed here. Kernels for NVIDIA devices are optional: without them `cuda` is refused by name. */
export async function backendMakers(): Promise<BackendMakers> {
  return { cpu: cpuBackend, reference: referenceBackend, cuda: await cudaMaker() };
}

async function cudaMaker(): Promise<BackendMakers['cuda']> {
  try {
    const { cudaBackend } = await import('@helexa/kernels-cuda');
    return () => cudaBackend();
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND')) throw cause;
    const reason = "the package '@helexa/kernels-cuda' is not installed";
    return () => {
      throw new CortexError('backend_unavailable', { backend: 'cuda', reason }, { cause });
    };
  }
}

const isUnavailable = (error: unknown): error is CortexError<'backend_unavailable'> =>
  CortexError.isInstance(error) && error.code === 'backend_unavailable';

/**
 * Opens the backend a device name asks for. `auto` takes an NVIDIA device where there is one and no instruction set of the
 * CPU is asked for, else the CPU kernels, and when these cannot be loaded the reference backend, saying so through `warn`; a
 * device asked for by name is given or refused, never replaced.
 */
export function openBackend(request: BackendRequest, warn: (text: string) => void, make: BackendMakers): Backend {
  const options = {
    ...(request.isa === undefined ? {} : { isa: request.isa }),
    ...(request.threads === undefined ? {} : { threads: request.threads }),
  };
  switch (request.device) {
    case 'reference':
      return make.reference();
    case 'cuda':
      return make.cuda();
    case 'cpu':
      return make.cpu(options);
    case 'auto':
      if (request.isa === undefined || request.isa === 'auto') {
        try {
          return make.cuda();
        } catch (error) {
          // Most machines have none: that is no news.
          if (!isUnavailable(error)) throw error;
        }
      }
      try {
        return make.cpu(options);
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        warn(`${error.message}; going on with the reference backend: right answers, but slow`);
        return make.reference();
      }
  }
}

/** Opens a backend again by its name, after its device was lost. */
export const reopenBackend =
  (threads: number | undefined, warn: (text: string) => void, make: BackendMakers) =>
  (name: string): Backend => {
    const device = deviceNames.find((known) => known === name && known !== 'auto');
    if (!device)
      throw new CortexError('backend_unavailable', { backend: name, reason: 'nothing here can open it anew' });
    return openBackend({ device, ...(threads === undefined ? {} : { threads }) }, warn, make);
  };
