import { CortexError, type WeightFormat } from '@helexa/core';
import type { Backend, DeviceInfo, DeviceModel, KvFormat, MemoryReport, ModelSpec } from '../backend.js';
import type { FusedOp, OpName } from '../opcodes.js';
import { layoutStep, type StepLayout } from '../step.js';
import { isFailure, type NativeBinding, type NativeDevice, type NativeSpec } from './binding.js';
import { toCortexError } from './native-error.js';
import { memoryReport, NativeModel } from './native-model.js';
import { kvFormats, nativeSpec, weightFormats } from './native-spec.js';

export interface NativeBackendOptions<Binding extends NativeBinding> {
  readonly name: string;
  readonly binding: Binding;
  /** Devices that a rank may name: 0 to this. */
  readonly devices: number;
  readonly ops: readonly OpName[];
  readonly fusions: readonly FusedOp[];
  /** Which of its kernels are to be used, where it has several kinds. */
  readonly kernels?: string;
  /** Worker threads of a model, where its spec names none; 0: what the machine allows. */
  readonly threads?: number;
}

/** What every backend in native code does alike: device threads, loading, memory, ending. Its owner disposes it. */
export abstract class NativeBackend<Binding extends NativeBinding> implements Backend {
  readonly name: string;
  readonly ops: ReadonlySet<OpName>;
  readonly fusions: ReadonlySet<FusedOp>;
  readonly weightFormats: ReadonlySet<WeightFormat> = new Set(weightFormats);
  readonly kvFormats: ReadonlySet<KvFormat> = new Set(kvFormats);
  protected readonly binding: Binding;
  protected readonly kernels: string;
  readonly #devices: number;
  readonly #threads: number;
  readonly #models = new Set<NativeModel>();
  readonly #loading = new Set<Promise<NativeModel>>();
  /** Started by the first use: a backend that is only asked what it can do costs no thread. */
  readonly #running = new Map<number, NativeDevice>();
  #disposal: Promise<void> | null = null;

  protected constructor(options: NativeBackendOptions<Binding>) {
    this.name = options.name;
    this.ops = new Set(options.ops);
    this.fusions = new Set(options.fusions);
    this.binding = options.binding;
    this.kernels = options.kernels ?? '';
    this.#devices = options.devices;
    this.#threads = options.threads ?? 0;
  }

  abstract quantisedRowBytes(width: number): number | null;
  abstract discover(): Promise<readonly DeviceInfo[]>;

  measureMemory(spec: ModelSpec): readonly MemoryReport[] {
    const { layout, native } = this.#specOf(spec);
    const measured = this.binding.measure(native);
    if (isFailure(measured)) throw toCortexError(measured, { backend: this.name });
    return memoryReport(measured.memory, layout);
  }

  async load(spec: ModelSpec): Promise<DeviceModel> {
    this.mustLive();
    const loading = this.#load(spec);
    this.#loading.add(loading);
    try {
      return await loading;
    } finally {
      this.#loading.delete(loading);
    }
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  /** The thread of a device, started now where it does not run. */
  protected device(index: number): NativeDevice {
    const running = this.#running.get(index) ?? this.binding.createDevice(`${this.name}-dev-${index}`);
    this.#running.set(index, running);
    return running;
  }

  protected mustLive(): void {
    if (this.#disposal) throw new CortexError('disposed', { what: `${this.name} backend` });
  }

  #specOf(spec: ModelSpec): { readonly layout: StepLayout; readonly native: NativeSpec } {
    const isThere = (device: number): boolean => Number.isInteger(device) && device >= 0 && device < this.#devices;
    if (!spec.devices.every(isThere) || spec.devices.length !== spec.programs.length) {
      const wanted = this.#devices === 1 ? 'device 0' : `a device from 0 to ${this.#devices - 1}`;
      throw new CortexError('program_invalid', {
        instruction: -1,
        reason: `its ranks name devices [${spec.devices.join(', ')}]; ${wanted} for each of ${spec.programs.length} ranks is wanted`,
      });
    }
    const layout = layoutStep(spec.limits);
    const threads = spec.threads ?? this.#threads;
    return { layout, native: nativeSpec(spec, layout, { kernels: this.kernels, threads }) };
  }

  async #load(spec: ModelSpec): Promise<NativeModel> {
    const { layout, native } = this.#specOf(spec);
    const loaded = await this.binding.load(this.device(spec.devices[0] ?? 0), native);
    if (isFailure(loaded)) throw toCortexError(loaded, { backend: this.name });
    const model = new NativeModel({
      backend: this.name,
      binding: this.binding,
      native: loaded,
      layout,
      programs: spec.programs,
      onDispose: () => this.#models.delete(model),
    });
    this.#models.add(model);
    return model;
  }

  async #dispose(): Promise<void> {
    // A load under way ends first; whoever asked for it hears of its failure.
    await Promise.allSettled([...this.#loading]);
    await Promise.all([...this.#models].map((model) => model.dispose()));
    await Promise.all([...this.#running.values()].map((device) => this.binding.closeDevice(device)));
  }
}
