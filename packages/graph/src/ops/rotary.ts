import type { Matrix, ReferenceContext, ShapeContext } from '../op.js';
import { attribute, expect, expectVector } from './rules.js';

/** Rotary embedding of the heads of a matrix, as every op that rotates does it. */
export interface RotaryOptions {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly attentionFactor: number;
  readonly sectionH: number;
  readonly sectionW: number;
}

export const rotaryParams = (context: ReferenceContext): RotaryOptions => ({
  headDim: context.param('headDim'),
  rotaryDim: context.param('rotaryDim'),
  attentionFactor: context.param('attentionFactor'),
  sectionH: context.param('sectionH'),
  sectionW: context.param('sectionW'),
});

/** Refuses rotary attributes that do not fit a head or the table of inverse frequencies. */
export function expectRotary(node: ShapeContext): void {
  const headDim = attribute(node, 'headDim');
  const rotaryDim = attribute(node, 'rotaryDim');
  expect(
    node,
    rotaryDim > 0 && rotaryDim % 2 === 0 && rotaryDim <= headDim,
    () => `${rotaryDim} rotated dimensions of ${headDim}; an even number up to ${headDim} is wanted`,
  );
  expectVector(node, 'inverseFrequency', rotaryDim / 2);
}

/** Position axis (0 T, 1 H, 2 W) that turns pair `i`: interleaved sections of multimodal rotary, else always T. */
export function axisOf(pair: number, { sectionH, sectionW }: Pick<RotaryOptions, 'sectionH' | 'sectionW'>): 0 | 1 | 2 {
  if (pair % 3 === 1 && pair < 3 * sectionH) return 1;
  if (pair % 3 === 2 && pair < 3 * sectionW) return 2;
  return 0;
}

/**
 * Turns pairs (i, i + rotaryDim / 2) of every head by angle position * inverseFrequency[i]; the other dimensions pass. The
 * angle is rounded to float32, which is part of the definition: far positions would differ otherwise.
 */
export function rotateHeads(
  context: ReferenceContext,
  x: Matrix,
  y: Matrix,
  inverseFrequency: Float32Array,
  options: RotaryOptions,
): void {
  const { headDim, rotaryDim, attentionFactor } = options;
  const { layout, i32 } = context.step;
  const half = rotaryDim / 2;
  const cos = new Float64Array(half);
  const sin = new Float64Array(half);
  for (let row = 0; row < context.rows; row++) {
    for (let i = 0; i < half; i++) {
      const position = i32[layout.positions + axisOf(i, options) * layout.limits.maxRows + row]!;
      const angle = Math.fround(position * inverseFrequency[i]!);
      cos[i] = Math.cos(angle) * attentionFactor;
      sin[i] = Math.sin(angle) * attentionFactor;
    }
    for (let start = 0; start < x.width; start += headDim) {
      const from = x.offset + row * x.stride + start;
      const to = y.offset + row * y.stride + start;
      for (let i = 0; i < half; i++) {
        const a = x.data[from + i]!;
        const b = x.data[from + half + i]!;
        y.data[to + i] = a * cos[i]! - b * sin[i]!;
        y.data[to + half + i] = b * cos[i]! + a * sin[i]!;
      }
      for (let i = rotaryDim; i < headDim; i++) y.data[to + i] = x.data[from + i]!;
    }
  }
}
