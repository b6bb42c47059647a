import type { ReferenceContext } from '../op.js';
import { noVision, patchPlace } from '../step.js';

/** One thing that a step says of a patch. */
export function placeOf(
  { layout, i32 }: ReferenceContext['step'],
  patch: number,
  what: Exclude<keyof typeof patchPlace, 'size'>,
): number {
  const { maxPatches } = layout.limits.vision ?? noVision;
  return i32[layout.patches + patchPlace[what] * maxPatches + patch]!;
}
