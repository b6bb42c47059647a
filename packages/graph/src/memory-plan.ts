import { rowBytes } from '@helexa/core';
import type { KvFormat, MemoryReport } from './backend.js';
import { type Program, pageTokens } from './program.js';
import { layoutStep, type StepLimits, stateCount } from './step.js';

/** Bytes of one rank, from its program alone: what preflight prints and a backend is held to. */
export interface RankMemory {
  /** Weights in the formats they are stored in. */
  readonly weightBytes: number;
  readonly kvBytesPerToken: number;
  readonly kvBytes: number;
  readonly stateBytesPerSequence: number;
  readonly stateBytes: number;
  readonly activationBytes: number;
  readonly stepBytes: number;
  readonly totalBytes: number;
}

export interface MemoryPlan {
  readonly ranks: readonly RankMemory[];
}

const kvElementBytes: Readonly<Record<KvFormat, number>> = { F32: 4, F16: 2, BF16: 2 };

/** What the programs of a model take on their devices at these limits. */
export function planBytes(programs: readonly Program[], limits: StepLimits, kvFormat: KvFormat): MemoryPlan {
  return { ranks: programs.map((program) => rankBytes(program, limits, kvFormat)) };
}

/** A plan with what the backend itself says that it takes, scratch and padding included. */
export const measuredPlan = (plan: MemoryPlan, measured: readonly MemoryReport[]): MemoryPlan => ({
  ranks: plan.ranks.map((rank, index) => {
    const { weightBytes, kvBytes, stateBytes, activationBytes, stepBytes } = measured[index]!;
    const totalBytes = weightBytes + kvBytes + stateBytes + activationBytes + stepBytes;
    return { ...rank, weightBytes, kvBytes, stateBytes, activationBytes, stepBytes, totalBytes };
  }),
});

function rankBytes(program: Program, limits: StepLimits, kvFormat: KvFormat): RankMemory {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const weightBytes = sum(program.tensors.map((tensor) => tensor.rows * rowBytes(tensor.format, tensor.cols)));
  const kvElements = sum(program.kv.map((layer) => 2 * layer.kvHeads * layer.headDim));
  const kvBytesPerToken = kvElements * kvElementBytes[kvFormat];
  const kvBytes = limits.pages * pageTokens * kvBytesPerToken;
  const stateBytesPerSequence = 4 * sum(program.state.map((layer) => layer.convElements + layer.deltaElements));
  const stateBytes = stateCount(limits) * stateBytesPerSequence;
  const activationBytes = 4 * program.arenaElements;
  const stepBytes = 4 * layoutStep(limits).size;
  const totalBytes = weightBytes + kvBytes + stateBytes + activationBytes + stepBytes;
  return {
    weightBytes,
    kvBytesPerToken,
    kvBytes,
    stateBytesPerSequence,
    stateBytes,
    activationBytes,
    stepBytes,
    totalBytes,
  };
}
