import type { Builder } from '../builder.js';
import type { Value } from '../value.js';
import { optionalWeight } from './optional-weight.js';

/** SwiGLU: slots `gateUp` (segments gate, up) and `down`, with `gateUpBias` and `downBias` where the table has them. */
export function gatedMlpBlock(b: Builder, x: Value): Value {
  const gateUp = b.linear(x, b.weight('gateUp'), optionalWeight(b, 'gateUpBias'));
  const inner = b.swiglu(b.segment(gateUp, 0), b.segment(gateUp, 1));
  return b.linear(inner, b.weight('down'), optionalWeight(b, 'downBias'));
}
