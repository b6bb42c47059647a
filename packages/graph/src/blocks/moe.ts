import type { Builder } from '../builder.js';
import type { Value } from '../value.js';
import { gatedMlpBlock } from './gated-mlp.js';

export interface MoeOptions {
  readonly experts: number;
  /** Experts that each row goes through. */
  readonly chosen: number;
  /** Weights of the chosen are divided by their sum. */
  readonly renormalise: boolean;
}

/**
 * Mixture of experts: slots `router`, `expertGateUp` (segments gate, up) and `expertDown`; where the table has them,
 * `sharedGateUp` and `sharedDown` of an expert that every row goes through, and `sharedGate`, its weight per row. Nothing in
 * it is summed over ranks: the block's result is, once.
 */
export function moeBlock(b: Builder, x: Value, { experts, chosen, renormalise }: MoeOptions): Value {
  const choice = b.routerTopK(b.linear(x, b.weight('router')), chosen, renormalise); // [rows, 2 chosen]
  const routed = b.moe(x, choice, b.weight('expertGateUp'), b.weight('expertDown'), { k: chosen, experts });
  if (!b.has('sharedGateUp')) return routed;
  const shared = gatedMlpBlock(b, x, { gateUp: 'sharedGateUp', down: 'sharedDown' });
  const weighed = b.has('sharedGate') ? b.sigmoidMul(shared, b.linear(x, b.weight('sharedGate'))) : shared;
  return b.add(routed, weighed);
}
