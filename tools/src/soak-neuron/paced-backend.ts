import { setTimeout as delay } from 'node:timers/promises';
import { type Backend, nullBackend } from '@helexa/graph';

/** A backend that computes nothing, and takes so many milliseconds for each step: its capacity is known and needs no processor. */
export function pacedBackend(stepMs: number): Backend {
  const base = nullBackend();
  if (stepMs === 0) return base;
  return {
    ...base,
    load: async (spec) => {
      const device = await base.load(spec);
      return {
        ...device,
        step: async () => {
          await delay(stepMs);
          await device.step();
          return { deviceNs: stepMs * 1e6 };
        },
      };
    },
  };
}
