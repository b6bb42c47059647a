import { CortexError, type ErrorCode } from '@helexa/core';

/** How far a failure reaches: every model of the device, the model alone, or nothing that a new start would cure. */
export type FaultScope = 'device' | 'model' | 'none';

/** The only codes that count as faults of a device: words are never looked at, and what is not here is no fault. */
const scopes: Partial<Record<ErrorCode, FaultScope>> = {
  device_lost: 'device',
  device_stalled: 'device',
  out_of_memory: 'model',
};

/** Whether a failure is the device's, by the first code of its chain of causes that says so. */
export function faultScope(error: unknown): FaultScope {
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    const scope = CortexError.isInstance(each) ? scopes[each.code] : undefined;
    if (scope) return scope;
  }
  return 'none';
}
