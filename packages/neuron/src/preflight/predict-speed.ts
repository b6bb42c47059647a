import type { MemoryPlan, Program } from '@helexa/graph';
import { stepTraffic } from './step-traffic.js';

/** What a device can do; given or measured. */
export interface DeviceRates {
  /** Bytes per second that one rank reads of its own memory. */
  readonly bandwidth: number;
  /** Operations per second of one rank's matrix products; null when unknown. */
  readonly operations: number | null;
  /** Where the numbers come from, in words. */
  readonly basis: string;
}

export interface SpeedForecast {
  readonly basis: string;
  readonly bandwidth: number;
  readonly operations: number | null;
  /** Tokens per second of one sequence whose context is this long. */
  readonly decode: readonly { readonly context: number; readonly tokensPerSecond: number }[];
  /** Tokens per second of a prompt; null when the rate of operations is unknown. */
  readonly prefill: number | null;
}

/**
 * The speed that memory and arithmetic allow: a decoded token reads every weight it uses and its whole context once, a prompt
 * computes every weight once per token and reads it once per step. The slowest rank decides.
 */
export function predictSpeed(
  programs: readonly Program[],
  plan: MemoryPlan,
  contexts: readonly number[],
  rowsPerStep: number,
  rates: DeviceRates,
): SpeedForecast {
  const ranks = programs.map((program, rank) => ({ ...stepTraffic(program), ...plan.ranks[rank]! }));
  const slowest = (seconds: (rank: (typeof ranks)[number]) => number) => 1 / Math.max(...ranks.map(seconds));
  const { bandwidth, operations } = rates;
  return {
    ...rates,
    decode: contexts.map((context) => ({
      context,
      tokensPerSecond: slowest((rank) => {
        const read = rank.bytesPerToken + context * rank.kvBytesPerToken + 2 * rank.stateBytesPerSequence;
        return Math.max(read / bandwidth, operations === null ? 0 : rank.operationsPerRow / operations);
      }),
    })),
    prefill:
      operations === null
        ? null
        : slowest((rank) => Math.max(rank.operationsPerRow / operations, rank.weightBytes / (rowsPerStep * bandwidth))),
  };
}
