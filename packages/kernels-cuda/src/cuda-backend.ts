import { CortexError } from '@helexa/core';
import { type Backend, type DeviceInfo, type FusedOp, type OpName, opcodes } from '@helexa/graph';
import { isFailure, NativeBackend, toCortexError } from '@helexa/graph/native';
import { type CudaBinding, type CudaDevice, libraryFile, openLibrary } from './binding.js';

export interface CudaBackendOptions {
  /** Library to open instead of the one built or shipped for this machine. */
  readonly library?: string;
}

const fused = [
  'add_rms_norm',
  'linear_add',
  'linear_swiglu',
  'qk_norm_rope_append',
] as const satisfies readonly FusedOp[];

/** `9.0` for 90. */
const capabilityOf = (code: number): string => `${Math.floor(code / 10)}.${code % 10}`;

/**
 * The CUDA backend: one thread per device, programs captured into graphs. Throws `backend_unavailable` when there is no
 * library, no NVIDIA driver or no device.
 */
export function cudaBackend({ library = libraryFile }: CudaBackendOptions = {}): Backend {
  const binding = openLibrary(library);
  return new CudaBackend(binding, devicesOf(binding));
}

function devicesOf(binding: CudaBinding): readonly CudaDevice[] {
  const answer = binding.devices();
  if (isFailure(answer))
    throw new CortexError('backend_unavailable', {
      backend: 'cuda',
      reason: `its devices do not answer: ${answer[4]}`,
    });
  if (answer.devices.length > 0) return answer.devices;
  throw new CortexError('backend_unavailable', { backend: 'cuda', reason: 'there is no NVIDIA device' });
}

class CudaBackend extends NativeBackend<CudaBinding> {
  constructor(binding: CudaBinding, devices: readonly CudaDevice[]) {
    const codes = new Set(binding.ops());
    const ops = (Object.keys(opcodes) as OpName[]).filter((name) => codes.has(opcodes[name].code));
    const fusions = fused.filter((name) => ops.includes(name));
    super({ name: 'cuda', binding, devices: devices.length, ops, fusions });
  }

  /** Activations stay float32 between ops. */
  quantisedRowBytes(): null {
    return null;
  }

  async discover(): Promise<readonly DeviceInfo[]> {
    const answer = this.binding.devices();
    if (isFailure(answer)) throw toCortexError(answer, { backend: this.name });
    return answer.devices.map(({ name, memoryBytes, freeBytes, capability }, index) => ({
      index,
      name,
      memoryBytes,
      freeBytes,
      capability: capabilityOf(capability),
    }));
  }
}
