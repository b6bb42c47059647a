import type { Builder } from '../builder.js';
import type { Value } from '../value.js';
import { optionalWeight } from './optional-weight.js';

/** Slots of a SwiGLU. */
export interface GatedMlpSlots {
  readonly gateUp: string;
  readonly down: string;
}

const ownSlots: GatedMlpSlots = { gateUp: 'gateUp', down: 'down' };

/** SwiGLU: slots `gateUp` (segments gate, up) and `down`, with `gateUpBias` and `downBias` where the table has them. */
export function gatedMlpBlock(b: Builder, x: Value, slots: GatedMlpSlots = ownSlots): Value {
  const gateUp = b.linear(x, b.weight(slots.gateUp), optionalWeight(b, `${slots.gateUp}Bias`));
  const inner = b.swiglu(b.segment(gateUp, 0), b.segment(gateUp, 1));
  return b.linear(inner, b.weight(slots.down), optionalWeight(b, `${slots.down}Bias`));
}
