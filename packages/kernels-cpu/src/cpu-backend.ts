import { blockOf, CortexError, type WeightFormat } from '@helexa/core';
import {
  type Backend,
  convertWeights,
  type DeviceInfo,
  type DeviceModel,
  type FusedOp,
  type KvFormat,
  layoutStep,
  type MemoryReport,
  type ModelSpec,
  type OpName,
  type StepLayout,
  visionOps,
} from '@helexa/graph';
import { isFailure, loadBinding, type NativeBinding, type NativeDevice, type NativeSpec } from './binding.js';
import { CpuModel, memoryReport } from './cpu-model.js';
import { toCortexError } from './native-error.js';
import { kvFormats, nativeSpec, weightFormats } from './native-spec.js';

export interface CpuBackendOptions {
  /** Instruction set of every kernel; `auto` takes the best that the machine has. */
  readonly isa?: 'auto' | 'avx512' | 'avx2' | 'portable';
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

const capabilities: Readonly<Record<string, string>> = { avx512: 'avx512-vnni', avx2: 'avx2', portable: 'portable' };

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

class CpuBackend implements Backend {
  readonly name = 'cpu';
  readonly ops: ReadonlySet<OpName> = new Set(ops);
  readonly fusions: ReadonlySet<FusedOp> = new Set(fusions);
  readonly weightFormats: ReadonlySet<WeightFormat> = new Set(weightFormats);
  readonly kvFormats: ReadonlySet<KvFormat> = new Set(kvFormats);
  readonly #binding: NativeBinding;
  readonly #isa: string;
  readonly #threads: number;
  readonly #models = new Set<CpuModel>();
  readonly #loading = new Set<Promise<CpuModel>>();
  /** Started by the first load: a backend that is only asked what it can do costs no thread. */
  #device: NativeDevice | null = null;
  #disposal: Promise<void> | null = null;

  constructor(binding: NativeBinding, isa: string, threads: number) {
    this.#binding = binding;
    this.#isa = isa;
    this.#threads = threads;
  }

  quantisedRowBytes(width: number): number | null {
    return this.#binding.quantisedRowBytes(width) || null;
  }

  async convertWeights(from: WeightFormat, to: WeightFormat, bytes: Uint8Array): Promise<Uint8Array> {
    if (blockOf[from].elements > 1 || blockOf[to].elements === 1) return convertWeights(from, to, bytes);
    const [source, target] = [from, to].map((format) => weightFormats.indexOf(format)) as [number, number];
    const converted = await this.#binding.convertWeights(source, target, bytes);
    if (!isFailure(converted)) return new Uint8Array(converted);
    throw new CortexError('weight_bytes', { format: to, reason: converted[4] });
  }

  async discover(): Promise<readonly DeviceInfo[]> {
    const { totalBytes, freeBytes } = this.#binding.probe();
    return [
      {
        index: 0,
        name: 'cpu',
        memoryBytes: totalBytes,
        freeBytes,
        capability: capabilities[this.#isa] ?? this.#isa,
      },
    ];
  }

  async readBandwidth(threads: number): Promise<number> {
    this.#mustLive();
    this.#device ??= this.#binding.createDevice();
    const speed = await this.#binding.readBandwidth(this.#device, threads);
    if (isFailure(speed)) throw toCortexError(speed);
    return speed;
  }

  measureMemory(spec: ModelSpec): readonly MemoryReport[] {
    const { layout, native } = this.#specOf(spec);
    const measured = this.#binding.measure(native);
    if (isFailure(measured)) throw toCortexError(measured);
    return memoryReport(measured.memory, layout);
  }

  async load(spec: ModelSpec): Promise<DeviceModel> {
    this.#mustLive();
    const loading = this.#load(spec);
    this.#loading.add(loading);
    try {
      return await loading;
    } finally {
      this.#loading.delete(loading);
    }
  }

  #specOf(spec: ModelSpec): { readonly layout: StepLayout; readonly native: NativeSpec } {
    const wrong = spec.devices.find((device) => device !== 0);
    if (wrong !== undefined || spec.devices.length !== spec.programs.length)
      throw new CortexError('program_invalid', {
        instruction: -1,
        reason: `its ranks name devices [${spec.devices.join(', ')}]; device 0 for each of ${spec.programs.length} ranks is wanted`,
      });
    const layout = layoutStep(spec.limits);
    const threads = spec.threads ?? this.#threads;
    return { layout, native: nativeSpec(spec, layout, { isa: this.#isa, threads }) };
  }

  async #load(spec: ModelSpec): Promise<CpuModel> {
    const { layout, native } = this.#specOf(spec);
    this.#device ??= this.#binding.createDevice();
    const loaded = await this.#binding.load(this.#device, native);
    if (isFailure(loaded)) throw toCortexError(loaded);
    const model = new CpuModel({
      binding: this.#binding,
      native: loaded,
      layout,
      programs: spec.programs,
      onDispose: () => this.#models.delete(model),
    });
    this.#models.add(model);
    return model;
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  async #dispose(): Promise<void> {
    // A load under way ends first; whoever asked for it hears of its failure.
    await Promise.allSettled([...this.#loading]);
    const device = this.#device;
    await Promise.all([...this.#models].map((model) => model.dispose()));
    if (device) await this.#binding.closeDevice(device);
  }

  #mustLive(): void {
    if (this.#disposal) throw new CortexError('disposed', { what: 'cpu backend' });
  }
}
