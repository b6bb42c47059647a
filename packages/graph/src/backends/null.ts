import type { WeightFormat } from '@helexa/core';
import { CortexError } from '@helexa/core';
import type { Backend, DeviceModel, KvFormat, ModelSpec } from '../backend.js';
import { planBytes } from '../memory-plan.js';
import { type FusedOp, type OpName, opcodes } from '../opcodes.js';
import { layoutStep } from '../step.js';

const allFormats: readonly WeightFormat[] = ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_K', 'Q5_K', 'Q6_K'];
const allFusions: readonly FusedOp[] = ['add_rms_norm', 'linear_add', 'linear_swiglu', 'qk_norm_rope_append'];

export interface NullOptions {
  /** Fused ops it claims to have; all when absent. */
  readonly fusions?: readonly FusedOp[];
  /** Whether it claims a quantised form of activations. */
  readonly quantises?: boolean;
}

/** A backend that accepts everything and computes nothing: for compiling, scheduling and memory on any machine. */
export function nullBackend(options: NullOptions = {}): Backend {
  return {
    name: 'null',
    ops: new Set(Object.keys(opcodes) as OpName[]),
    fusions: new Set(options.fusions ?? allFusions),
    weightFormats: new Set(allFormats),
    kvFormats: new Set<KvFormat>(['F32', 'F16', 'BF16']),
    quantisedRowBytes: (width) =>
      options.quantises && width % 32 === 0 ? Math.ceil((width + width / 8) / 64) * 64 : null,
    discover: async () => [{ index: 0, name: 'null', memoryBytes: 0, freeBytes: 0, capability: 'none' }],
    load: async (spec) => nullModel(spec),
    dispose: async () => {},
  };
}

/** Steps answer at once and leave the output region as it was. */
function nullModel({ limits, programs, kvFormat }: ModelSpec): DeviceModel {
  const layout = layoutStep(limits);
  let isDisposed = false;
  const live = <T>(answer: T): Promise<T> =>
    isDisposed ? Promise.reject(new CortexError('disposed', { what: 'null model' })) : Promise.resolve(answer);
  return {
    layout,
    buffer: new ArrayBuffer(layout.size * 4),
    memory: planBytes(programs, limits, kvFormat).ranks,
    upload: () => live(undefined),
    seal: () => live(undefined),
    step: () => live({ deviceNs: 0 }),
    dispose: async () => {
      isDisposed = true;
    },
  };
}
