import type { Builder } from '../builder.js';
import type { Weight } from '../value.js';

/** The weight of a slot that a table may leave out. */
export const optionalWeight = (b: Builder, slot: string): Weight | undefined =>
  b.has(slot) ? b.weight(slot) : undefined;
