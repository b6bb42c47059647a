import { totalmem } from 'node:os';
import type { DeviceInfo } from '@helexa/graph';

/** What this process may still take of the machine's memory, within its control group. */
export interface HostMemory {
  readonly totalBytes: number;
  readonly availableBytes: number;
}

export const readHostMemory = (): HostMemory => ({
  totalBytes: totalmem(),
  availableBytes: process.availableMemory(),
});

/**
 * Free memory over the devices in use, each counted once. A device whose memory is the machine's own has no more than this
 * process may take.
 */
export function freeBytesOf(devices: readonly DeviceInfo[], used: readonly number[], host: HostMemory): number {
  return devices
    .filter((device) => used.includes(device.index))
    .map((device) =>
      device.memoryBytes === host.totalBytes ? Math.min(device.freeBytes, host.availableBytes) : device.freeBytes,
    )
    .reduce((sum, bytes) => sum + bytes, 0);
}
