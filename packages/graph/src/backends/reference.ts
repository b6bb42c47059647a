import { freemem, totalmem } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { CortexError } from '@helexa/core';
import type { Backend, DeviceModel, KvFormat, MemoryReport, ModelSpec, StepReport } from '../backend.js';
import { weightFormats } from '../formats/index.js';
import type { Matrix, ReferenceContext } from '../op.js';
import { type FusedOp, type OpName, opcodes } from '../opcodes.js';
import { header, layoutStep, type StepLayout } from '../step.js';
import { checkLockStep, type Instruction } from './instruction.js';
import { type ReferenceOverrides, ReferenceRank } from './reference-rank.js';
import { checkStep } from './step-check.js';

export interface ReferenceOptions {
  /** Fused ops that the fuse pass may make; all of them when absent. */
  readonly fusions?: readonly FusedOp[];
  /** Milliseconds since any moment; for the report of a step, and for giving way to other work now and then. */
  readonly now?: () => number;
  /** Ops that compute something else: mutations, for tests of tests. */
  readonly overrides?: ReferenceOverrides;
}

const allFusions: readonly FusedOp[] = ['add_rms_norm', 'linear_add', 'linear_swiglu', 'qk_norm_rope_append'];

/** Longest time that one step keeps the event loop from other work, between two instructions. */
const sliceMs = 10;

/**
 * The oracle: runs programs by the ops' own references, in float64 throughout but for the storage of weights and cache. All
 * ranks advance in lock step, instruction by instruction, in this thread.
 */
export function referenceBackend({
  fusions = allFusions,
  now = () => performance.now(),
  overrides = {},
}: ReferenceOptions = {}): Backend {
  const models = new Set<ReferenceModel>();
  return {
    name: 'reference',
    ops: new Set(Object.keys(opcodes) as OpName[]),
    fusions: new Set(fusions),
    weightFormats: new Set(weightFormats),
    kvFormats: new Set<KvFormat>(['F32', 'F16', 'BF16']),
    quantisedRowBytes: () => null,
    discover: async () => [
      { index: 0, name: 'reference', memoryBytes: totalmem(), freeBytes: freemem(), capability: 'float64' },
    ],
    load: async (spec) => {
      const model = new ReferenceModel(spec, now, overrides, () => models.delete(model));
      models.add(model);
      return model;
    },
    dispose: async () => {
      await Promise.all([...models].map((model) => model.dispose()));
    },
  };
}

class ReferenceModel implements DeviceModel {
  readonly layout: StepLayout;
  readonly buffer: ArrayBuffer;
  readonly memory: readonly MemoryReport[];
  readonly #step: ReferenceContext['step'];
  readonly #now: () => number;
  readonly #onDispose: () => void;
  readonly #vocab: number;
  #ranks: readonly ReferenceRank[];
  #isSealed = false;
  #isDisposed = false;
  #running: Promise<StepReport> | null = null;

  constructor(
    { programs, limits, kvFormat }: ModelSpec,
    now: () => number,
    overrides: ReferenceOverrides,
    onDispose: () => void,
  ) {
    checkSpec(programs);
    this.layout = layoutStep(limits);
    this.buffer = new ArrayBuffer(this.layout.size * 4);
    this.#step = { layout: this.layout, i32: new Int32Array(this.buffer), f32: new Float32Array(this.buffer) };
    this.#now = now;
    this.#onDispose = onDispose;
    this.#vocab = programs[0]!.vocab;
    this.#ranks = programs.map(
      (program) => new ReferenceRank({ program, layout: this.layout, kvFormat, step: this.#step, overrides }),
    );
    checkLockStep(this.#ranks.map((rank) => rank.instructions));
    this.memory = this.#ranks.map((rank) => rank.memory);
  }

  async upload(rank: number, tensor: number, rowStart: number, bytes: Uint8Array): Promise<void> {
    this.#mustLive();
    const target = this.#ranks[rank];
    if (!target || this.#isSealed) {
      const reason = target ? 'the model is sealed' : `rank ${rank} of ${this.#ranks.length}`;
      throw new CortexError('upload_invalid', { tensor: `${tensor}`, reason });
    }
    target.weights.upload(tensor, rowStart, bytes);
  }

  async seal(): Promise<void> {
    this.#mustLive();
    for (const rank of this.#ranks) rank.weights.seal();
    this.#isSealed = true;
  }

  async step(): Promise<StepReport> {
    this.#mustLive();
    if (!this.#isSealed) throw new CortexError('step_invalid', { field: 'model', reason: 'is not sealed' });
    if (this.#running) throw new CortexError('step_invalid', { field: 'step', reason: 'is still running' });
    this.#running = this.#run();
    try {
      return await this.#running;
    } finally {
      this.#running = null;
    }
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    // The step's own caller hears of its failure.
    await this.#running?.catch(() => undefined);
    this.#ranks = [];
    this.#onDispose();
  }

  async #run(): Promise<StepReport> {
    const { layout, i32, f32 } = this.#step;
    const counts = checkStep(layout, i32, f32, this.#vocab);
    const start = this.#now();
    const copies = i32[layout.header + header.copies]!;
    for (let copy = 0; copy < copies; copy++) {
      const at = layout.stateCopies + 2 * copy;
      for (const rank of this.#ranks) rank.copyState(i32[at]!, i32[at + 1]!);
    }
    let sliceStart = start;
    for (const [index, instruction] of this.#ranks[0]!.instructions.entries()) {
      const rows = counts[instruction.rows];
      if (rows > 0) this.#advance(index, rows);
      if (this.#now() - sliceStart < sliceMs) continue;
      await setImmediate();
      sliceStart = this.#now();
    }
    return { deviceNs: Math.round((this.#now() - start) * 1e6) };
  }

  /** Runs one instruction on every rank. */
  #advance(index: number, rows: number): void {
    // Copied when first asked for, before any rank has written: a collective may work in place.
    const copies = new Map<string, readonly Matrix[]>();
    const peers = (role: string): readonly Matrix[] => {
      const known =
        copies.get(role) ?? this.#ranks.map((rank) => copyInput(rank, rank.instructions[index]!, role, rows));
      copies.set(role, known);
      return known;
    };
    for (const rank of this.#ranks) rank.run(rank.instructions[index]!, rows, peers);
  }

  #mustLive(): void {
    if (this.#isDisposed) throw new CortexError('disposed', { what: 'model' });
  }
}

function copyInput(rank: ReferenceRank, instruction: Instruction, role: string, rows: number): Matrix {
  const { data, offset, stride, width } = rank.matrix(instruction.inputs.get(role)!);
  return { data: data.slice(offset, offset + (rows - 1) * stride + width), offset: 0, stride, width };
}

function checkSpec(programs: ModelSpec['programs']): void {
  const refuse = (reason: string): never => {
    throw new CortexError('program_invalid', { instruction: 0, reason });
  };
  if (programs.length === 0) refuse('there is no program; one for each rank is wanted');
  for (const [rank, program] of programs.entries()) {
    if (program.rank !== rank || program.ranks !== programs.length)
      refuse(`program ${rank} of ${programs.length} is made for rank ${program.rank} of ${program.ranks}`);
    if (program.vocab !== programs[0]!.vocab) refuse('ranks differ in their vocabulary');
  }
}
