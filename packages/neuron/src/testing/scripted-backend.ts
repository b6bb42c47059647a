import { type Backend, nullBackend } from '@helexa/graph';
import { fakeDevice } from './fake-device.js';

/** A backend whose models say these tokens, one after another, whatever they are asked. */
export function scriptedBackend(script: readonly number[]): Backend {
  return {
    ...nullBackend(),
    name: 'reference',
    discover: async () => [{ index: 0, name: 'script', memoryBytes: 0, freeBytes: 0, capability: 'none' }],
    load: async ({ limits }) =>
      fakeDevice(limits, { token: (_, counter) => script[Math.min(counter, script.length - 1)]! }),
  };
}
