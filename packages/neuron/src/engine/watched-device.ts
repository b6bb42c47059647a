import { CortexError } from '@helexa/core';
import type { DeviceModel } from '@helexa/graph';
import type { EngineEffects } from './effects.js';

export interface WatchedDeviceOptions {
  /** Name in errors. */
  readonly modelId: string;
  readonly device: DeviceModel;
  /** Longest time that one step may take before the device counts as wedged. */
  readonly stepTimeoutMs: number;
  readonly effects: Pick<EngineEffects, 'after'>;
}

/** Runs the steps of a device; a step that fails or does not end becomes `device_failed` or `device_stalled`. */
export class WatchedDevice {
  readonly #options: WatchedDeviceOptions;

  constructor(options: WatchedDeviceOptions) {
    this.#options = options;
  }

  /** Runs the step that the buffer holds; gives its time on the device in nanoseconds. */
  async step(): Promise<number> {
    const { device, effects, modelId: model, stepTimeoutMs: timeoutMs } = this.#options;
    let cancel = () => {};
    const stalled = new Promise<'stalled'>((resolve) => {
      cancel = effects.after(timeoutMs, () => resolve('stalled'));
    });
    try {
      const report = await Promise.race([device.step(), stalled]);
      if (report !== 'stalled') return report.deviceNs;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CortexError('device_failed', { model, reason }, { cause: error });
    } finally {
      cancel();
    }
    throw new CortexError('device_stalled', { model, timeoutMs });
  }
}
