import { CortexError } from '@helexa/core';
import { type Backend, referenceBackend } from '@helexa/graph';

const instructionSets = ['auto', 'amx', 'avx512', 'avx2', 'portable'] as const;
type InstructionSet = (typeof instructionSets)[number];

/** The backend that a command line names, for CUDA with a library of its own. Native kernels are imported only when they are asked for. */
export async function openBackend(device: string, isa = 'auto', library?: string): Promise<Backend> {
  if (device === 'reference') return referenceBackend();
  if (device === 'cuda') {
    const { cudaBackend } = await import('@helexa/kernels-cuda');
    return cudaBackend(library === undefined ? {} : { library });
  }
  if (device !== 'cpu') {
    throw new CortexError('backend_unavailable', {
      backend: device,
      reason: "the devices here are 'cpu', 'cuda' and 'reference'",
    });
  }
  if (!instructionSets.includes(isa as InstructionSet)) {
    const reason = `'${isa}' is no instruction set; ${instructionSets.join(', ')} are`;
    throw new CortexError('backend_unavailable', { backend: device, reason });
  }
  const { cpuBackend } = await import('@helexa/kernels-cpu');
  return cpuBackend({ isa: isa as InstructionSet });
}
