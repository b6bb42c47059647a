import { CortexError } from '@helexa/core';
import type { DeviceModel, FileRows, MemoryReport, StepReport } from '../backend.js';
import type { Program } from '../program.js';
import type { StepLayout } from '../step.js';
import { isFailure, type LoadedModel, type NativeBinding, type NativeFailure, type NativeMemory } from './binding.js';
import { toCortexError } from './native-error.js';

/** The memory of all ranks. They share one step buffer: rank 0 answers for it. */
export const memoryReport = (ranks: readonly NativeMemory[], layout: StepLayout): readonly MemoryReport[] =>
  ranks.map((rank, index) => ({ ...rank, stepBytes: index === 0 ? layout.size * 4 : 0 }));

/** One model on a device thread. Its owner disposes it; a disposed backend disposes what is left. */
export class NativeModel implements DeviceModel {
  readonly layout: StepLayout;
  readonly buffer: ArrayBuffer;
  readonly memory: readonly MemoryReport[];
  /** Absent where the device does not read files. */
  readonly uploadFiles?: (parts: readonly FileRows[]) => Promise<void>;
  readonly #backend: string;
  readonly #binding: NativeBinding;
  readonly #native: LoadedModel;
  readonly #programs: readonly Program[];
  readonly #onDispose: () => void;
  readonly #files: string[] = [];
  #isStepping = false;
  #disposal: Promise<void> | null = null;

  constructor(options: {
    /** Name of the backend, for errors. */
    readonly backend: string;
    readonly binding: NativeBinding;
    readonly native: LoadedModel;
    readonly layout: StepLayout;
    readonly programs: readonly Program[];
    readonly onDispose: () => void;
  }) {
    this.#backend = options.backend;
    this.#binding = options.binding;
    this.#native = options.native;
    this.#programs = options.programs;
    this.#onDispose = options.onDispose;
    this.layout = options.layout;
    this.buffer = options.native.buffer;
    this.memory = memoryReport(options.native.memory, options.layout);
    if (options.native.readsFiles) this.uploadFiles = (parts) => this.#uploadFiles(parts);
  }

  /** Worker threads over all ranks. */
  get threads(): number {
    return this.#native.threads;
  }

  async upload(rank: number, tensor: number, rowStart: number, bytes: Uint8Array): Promise<void> {
    this.#mustLive();
    const name = this.#programs[rank]?.tensors[tensor]?.name ?? `${tensor}`;
    for (const [what, value] of Object.entries({ rank, tensor, rowStart })) {
      if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) continue;
      throw new CortexError('upload_invalid', {
        tensor: name,
        reason: `${what} is ${value}; a whole number is wanted`,
      });
    }
    const failure = await this.#binding.upload(this.#native.handle, rank, tensor, rowStart, bytes);
    if (failure) throw toCortexError(failure, { backend: this.#backend, tensor: name });
  }

  async #uploadFiles(parts: readonly FileRows[]): Promise<void> {
    this.#mustLive();
    // Later calls and steps name a file by its place in all that were given.
    for (const { file } of parts) if (!this.#files.includes(file)) this.#files.push(file);
    const numbers = parts.flatMap(({ rank, tensor, rowStart, rows, file, offset }) => {
      const place = [rank, tensor, rowStart, rows, this.#files.indexOf(file)];
      for (const value of [...place, Math.floor(offset / 2 ** 31)]) {
        if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) continue;
        const name = this.#programs[rank]?.tensors[tensor]?.name ?? `${tensor}`;
        throw new CortexError('upload_invalid', { tensor: name, reason: `a part of it holds ${value}` });
      }
      return [...place, offset];
    });
    const failure = await this.#binding.uploadFiles(this.#native.handle, [...this.#files], Float64Array.from(numbers));
    if (failure) throw toCortexError(failure, { backend: this.#backend, files: this.#files });
  }

  async seal(): Promise<void> {
    this.#mustLive();
    const failure = await this.#binding.seal(this.#native.handle);
    if (failure) throw toCortexError(failure, { backend: this.#backend, tensor: this.#tensorOf(failure) });
  }

  async step(): Promise<StepReport> {
    this.#mustLive();
    if (this.#isStepping) throw new CortexError('step_invalid', { field: 'step', reason: 'is still running' });
    this.#isStepping = true;
    try {
      const answer = await this.#binding.step(this.#native.handle);
      if (isFailure(answer)) throw toCortexError(answer, { backend: this.#backend, files: this.#files });
      return { deviceNs: answer };
    } finally {
      this.#isStepping = false;
    }
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  async #dispose(): Promise<void> {
    // Queued behind the step that runs, on the same thread.
    await this.#binding.unload(this.#native.handle);
    this.#onDispose();
  }

  /** Instruction and wantBytes of an unfilled tensor's failure carry its rank and index. */
  #tensorOf([, tensor, rank]: NativeFailure): string {
    return this.#programs[rank]?.tensors[tensor]?.name ?? `${tensor}`;
  }

  #mustLive(): void {
    if (this.#disposal) throw new CortexError('disposed', { what: 'model' });
  }
}
