import { type Backend, type DeviceModel, nullBackend } from '@helexa/graph';
import { fakeDevice } from './fake-device.js';

/** A call to a device, counted over the life of its backend: `upload 3` is the third upload. */
export type FaultPoint = `${'discover' | 'load' | 'upload' | 'seal' | 'step' | 'dispose'} ${number}`;

export interface FaultyBackend extends Backend {
  /** Models that hold the device. */
  readonly live: number;
  /** Calls so far, in order. */
  readonly calls: readonly FaultPoint[];
  readonly isDisposed: boolean;
}

/** A backend that goes wrong as told: `at` runs before every call to its device, and what it throws the call rejects with. */
export function faultyBackend(
  at: (point: FaultPoint) => void | Promise<void> = () => {},
  name = 'fake',
): FaultyBackend {
  const counts = new Map<string, number>();
  const calls: FaultPoint[] = [];
  const live = new Set<DeviceModel>();
  let isDisposed = false;
  const pass = async (kind: 'discover' | 'load' | 'upload' | 'seal' | 'step' | 'dispose') => {
    const number = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, number);
    calls.push(`${kind} ${number}`);
    await at(`${kind} ${number}`);
  };
  return {
    ...nullBackend(),
    name,
    get live() {
      return live.size;
    },
    get isDisposed() {
      return isDisposed;
    },
    calls,
    discover: async () => {
      await pass('discover');
      return [{ index: 0, name, memoryBytes: 0, freeBytes: 0, capability: 'none' }];
    },
    load: async ({ limits }) => {
      await pass('load');
      const device = fakeDevice(limits, { onStep: () => pass('step'), token: (_, counter) => counter % 200 });
      const model: DeviceModel = {
        ...device,
        upload: () => pass('upload'),
        seal: () => pass('seal'),
        dispose: async () => {
          if (!live.has(model)) return;
          await pass('dispose');
          live.delete(model);
        },
      };
      live.add(model);
      return model;
    },
    dispose: async () => {
      await Promise.all([...live].map((model) => model.dispose()));
      isDisposed = true;
    },
  };
}
