import { blockOf, CortexError, type WeightFormat } from '@helexa/core';
import { type Backend, convertWeights, type DeviceInfo, type FusedOp, type OpName, visionOps } from '@helexa/graph';
import { isFailure, NativeBackend, toCortexError, weightFormats } from '@helexa/graph/native';
import { type CpuBinding, loadBinding } from './binding.js';

export interface CpuBackendOptions {
  /** Instruction set of every kernel; `auto` takes the best that the machine has. */
  readonly isa?: 'auto' | 'amx' | 'avx512' | 'avx2' | 'portable';
  /** Worker threads of a model over all its ranks; absent: what the machine allows. */
  readonly threads?: number;
  /** Addon file to load instead of the one built or shipped for this machine. */
  readonly addon?: string;
}

const ops = [
  'embed',
  'rms_norm',
  'add_rms_norm',
  'layer_norm',
  'linear',
  'linear_add',
  'linear_swiglu',
  'add',
  'mul',
  'scale',
  'silu',
  'gelu',
  'sigmoid',
  'swiglu',
  'sigmoid_mul',
  'head_norm',
  'rope',
  'kv_append',
  'attend',
  'qk_norm_rope_append',
  'gather_rows',
  'expose_rows',
  'sample',
  'all_reduce',
  'gather',
  'add_bias',
  'conv1d_silu',
  'delta_gates',
  'gated_delta',
  'rms_norm_gated',
  'router_topk',
  'moe_gate_up',
  'moe_down',
  ...visionOps,
] as const satisfies readonly OpName[];

const fusions = [
  'add_rms_norm',
  'linear_add',
  'linear_swiglu',
  'qk_norm_rope_append',
] as const satisfies readonly FusedOp[];

const capabilities: Readonly<Record<string, string>> = {
  amx: 'avx512-vnni amx-bf16',
  avx512: 'avx512-vnni',
  avx2: 'avx2',
  portable: 'portable',
};

/**
 * The CPU backend: one device thread, a team of workers per model, kernels of one instruction set. Throws
 * `backend_unavailable` when the addon cannot be loaded or the machine lacks the instruction set that was asked for.
 */
export function cpuBackend({ isa = 'auto', threads = 0, addon }: CpuBackendOptions = {}): Backend {
  const binding = loadBinding(addon);
  const { isas } = binding.probe();
  const chosen = isa === 'auto' ? isas[0]! : isa;
  if (!isas.includes(chosen)) {
    const reason = `this machine lacks the instruction set '${isa}'; it has ${isas.join(', ')}`;
    throw new CortexError('backend_unavailable', { backend: 'cpu', reason });
  }
  return new CpuBackend(binding, chosen, threads);
}

class CpuBackend extends NativeBackend<CpuBinding> {
  constructor(binding: CpuBinding, isa: string, threads: number) {
    super({ name: 'cpu', binding, devices: 1, ops, fusions, kernels: isa, threads });
  }

  quantisedRowBytes(width: number): number | null {
    return this.binding.quantisedRowBytes(width) || null;
  }

  async convertWeights(from: WeightFormat, to: WeightFormat, bytes: Uint8Array): Promise<Uint8Array> {
    if (blockOf[from].elements > 1 || blockOf[to].elements === 1) return convertWeights(from, to, bytes);
    const [source, target] = [from, to].map((format) => weightFormats.indexOf(format)) as [number, number];
    const converted = await this.binding.convertWeights(source, target, bytes);
    if (!isFailure(converted)) return new Uint8Array(converted);
    throw new CortexError('weight_bytes', { format: to, reason: converted[4] });
  }

  async discover(): Promise<readonly DeviceInfo[]> {
    const { totalBytes, freeBytes } = this.binding.probe();
    const capability = capabilities[this.kernels] ?? this.kernels;
    return [{ index: 0, name: 'cpu', memoryBytes: totalBytes, freeBytes, capability }];
  }

  async readBandwidth(threads: number): Promise<number> {
    this.mustLive();
    const speed = await this.binding.readBandwidth(this.device(0), threads);
    if (isFailure(speed)) throw toCortexError(speed, { backend: this.name });
    return speed;
  }
}
