import { CortexError } from '@helexa/core';
import type { KvFormat, MemoryReport } from '../backend.js';
import type { Matrix, OpDefinition, ReferenceCache, ReferenceContext, ReferenceState } from '../op.js';
import type { OpName } from '../opcodes.js';
import type { Program } from '../program.js';
import { type StepLayout, stateCount } from '../step.js';
import { type Instruction, type Operand, readProgram } from './instruction.js';
import { referenceCache } from './reference-cache.js';
import { ReferenceWeights } from './reference-weights.js';

export interface RankOptions {
  readonly program: Program;
  readonly layout: StepLayout;
  readonly kvFormat: KvFormat;
  readonly step: ReferenceContext['step'];
  readonly overrides: ReferenceOverrides;
}

/** Ops that compute something else than they mean. */
export type ReferenceOverrides = Partial<Readonly<Record<OpName, OpDefinition['reference']>>>;

/** One rank of a model: its weights, arena, cache and state, and its program read back from words. */
export class ReferenceRank {
  readonly instructions: readonly Instruction[];
  readonly weights: ReferenceWeights;
  readonly #arena: Float64Array;
  readonly #caches: readonly ReferenceCache[];
  readonly #states: readonly ReferenceState[];
  readonly #options: RankOptions;

  constructor(options: RankOptions) {
    const { program, layout, kvFormat } = options;
    const { limits } = layout;
    this.#options = options;
    this.instructions = readProgram(program, limits);
    this.weights = new ReferenceWeights(program.tensors);
    // What was never written is a NaN: an op that reads it spoils its answer visibly.
    this.#arena = new Float64Array(program.arenaElements).fill(Number.NaN);
    this.#caches = program.kv.map((layer) => referenceCache(layer, limits.pages, kvFormat));
    this.#states = program.state.map(({ convElements, deltaElements }) => ({
      convElements,
      deltaElements,
      conv: new Float64Array(stateCount(limits) * convElements),
      delta: new Float64Array(stateCount(limits) * deltaElements),
    }));
  }

  /** Bytes it really holds: everything decoded, float64 where a device keeps float32. */
  get memory(): MemoryReport {
    const sum = (lengths: readonly number[]): number => lengths.reduce((total, length) => total + length, 0);
    return {
      weightBytes: this.weights.bytes,
      kvBytes: sum(this.#caches.map((cache) => cache.keys.byteLength + cache.values.byteLength)),
      stateBytes: sum(this.#states.map((state) => state.conv.byteLength + state.delta.byteLength)),
      activationBytes: this.#arena.byteLength,
      stepBytes: this.#options.layout.size * 4,
    };
  }

  /** Makes one recurrent state what another is. */
  copyState(from: number, to: number): void {
    for (const { conv, convElements, delta, deltaElements } of this.#states) {
      conv.copyWithin(to * convElements, from * convElements, (from + 1) * convElements);
      delta.copyWithin(to * deltaElements, from * deltaElements, (from + 1) * deltaElements);
    }
  }

  matrix({ offset, stride, width }: Operand): Matrix {
    return { data: this.#arena, offset, stride, width };
  }

  /** Runs one instruction over `rows` rows; `peers` answers an input of every rank. */
  run(instruction: Instruction, rows: number, peers: ReferenceContext['peers']): void {
    const { program, step, overrides } = this.#options;
    const reference = overrides[instruction.op] ?? instruction.definition.reference;
    reference({
      rows,
      rank: program.rank,
      ranks: program.ranks,
      input: (role) => this.matrix(found(instruction.inputs, role)),
      output: (role) => this.matrix(found(instruction.outputs, role)),
      weight: (role) => found(instruction.weights, role).map((tensor) => this.weights.tensors[tensor]!),
      param: (name) => found(instruction.params, name),
      peers,
      step,
      cache: (layer) => this.#caches[layer]!,
      state: (layer) => this.#states[layer]!,
    });
  }
}

function found<T>(map: ReadonlyMap<string, T>, role: string): T {
  const value = map.get(role);
  if (value === undefined) throw new CortexError('internal_error', { reason: `an op asked for its role '${role}'` });
  return value;
}
