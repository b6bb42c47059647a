import { CortexError } from '@helexa/core';
import type { Backend } from '@helexa/graph';

/** Backends that `auto` tries, fastest first. */
const preference = ['cuda', 'cpu', 'reference'];

/** The backend that a device name asks for: `auto` takes the first that has a device, a name is given or refused. */
export async function chooseBackend(backends: readonly Backend[], device: string): Promise<Backend> {
  const reasons: string[] = [];
  const rank = (backend: Backend) =>
    (preference.indexOf(backend.name) + preference.length + 1) % (preference.length + 1);
  const candidates =
    device === 'auto'
      ? backends.toSorted((a, b) => rank(a) - rank(b))
      : backends.filter((backend) => backend.name === device);
  for (const backend of candidates) {
    try {
      if ((await backend.discover()).length > 0) return backend;
      reasons.push(`'${backend.name}' has no device`);
    } catch (error) {
      reasons.push(`'${backend.name}': ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const have = backends.map((backend) => `'${backend.name}'`).join(', ') || 'none';
  throw new CortexError('backend_unavailable', {
    backend: device,
    reason: reasons.length > 0 ? reasons.join('; ') : `this neuron was given ${have}`,
  });
}
